//! The process's log: lines on standard error with time and level, as text or JSON.
//!
//! A thread of its own writes them, so that a standard error that nobody reads stops no request. Before
//! [`start()`] lines are plain text without a time, which is how mistakes in arguments and configuration
//! are reported. Rotates nothing, and logs nothing itself but the number of lines that are missing.

use std::fmt::Arguments;
use std::sync::OnceLock;

mod line;
mod queue;
mod sample;

pub use line::{Format, Level, Value};
use queue::Queue;
pub use sample::{INTERVAL, Sample};

/// Form of the log, and what it leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Form of a line.
    pub format: Format,
    /// The least serious level that is logged.
    pub level: Level,
}

struct Log {
    settings: Settings,
    queue: Queue,
}

static LOG: OnceLock<Log> = OnceLock::new();

/// Starts the thread that writes the log; to be called once. From here on lines have a time and a level.
///
/// # Errors
/// The thread cannot be started.
pub fn start(settings: Settings) -> std::io::Result<()> {
    let queue = Queue::default();
    // Before the log is in force: without its writer, the error that says so would be lost.
    queue.start(move |dropped| {
        let message = "lines were dropped, because standard error was not read fast enough";
        line::line(
            settings.format,
            Level::Warn,
            &[],
            format_args!("{dropped} {message}"),
        )
    })?;
    // Fails only when it has been started before.
    let _ = LOG.set(Log { settings, queue });
    Ok(())
}

/// Whether lines of `level` are logged.
#[must_use]
pub fn is_logged(level: Level) -> bool {
    let least = LOG.get().map_or(Level::Info, |log| log.settings.level);
    level <= least
}

/// Logs one line; the macros [`error!`](crate::error), [`warn!`](crate::warn), [`info!`](crate::info) and
/// [`debug!`](crate::debug) call this. Never waits for standard error. `fields` are for programs: ids and
/// names, never values of the configuration or of arguments.
pub fn write(level: Level, fields: &[(&'static str, Value<'_>)], message: Arguments<'_>) {
    if !is_logged(level) {
        return;
    }
    match LOG.get() {
        Some(log) => log
            .queue
            .push(line::line(log.settings.format, level, fields, message).as_bytes()),
        None => queue::write_out(line::plain(level, fields, message).as_bytes()),
    }
}

/// Waits, for at most a second, until the queued lines are written; to be called before the process ends.
pub fn flush() {
    if let Some(log) = LOG.get() {
        log.queue.flush();
    }
}

/// Logs an error, with the arguments of `eprintln!`. Fields come first: `error!(tool = name; "…")`.
#[macro_export]
macro_rules! error {
    ($($line:tt)+) => { $crate::at_level!(Error, $($line)+) };
}

/// Logs a warning: something does not work, or works otherwise than its operator may think.
#[macro_export]
macro_rules! warn {
    ($($line:tt)+) => { $crate::at_level!(Warn, $($line)+) };
}

/// Logs an event of normal operation.
#[macro_export]
macro_rules! info {
    ($($line:tt)+) => { $crate::at_level!(Info, $($line)+) };
}

/// Logs a detail that only the search for a fault needs.
#[macro_export]
macro_rules! debug {
    ($($line:tt)+) => { $crate::at_level!(Debug, $($line)+) };
}

/// Implementation of the macros of the levels.
#[doc(hidden)]
#[macro_export]
macro_rules! at_level {
    ($level:ident, $($field:ident = $value:expr),+; $($line:tt)+) => {
        $crate::log::write(
            $crate::log::Level::$level,
            &[$((stringify!($field), $crate::log::Value::from($value))),+],
            format_args!($($line)+),
        )
    };
    ($level:ident, $($line:tt)+) => {
        $crate::log::write($crate::log::Level::$level, &[], format_args!($($line)+))
    };
}

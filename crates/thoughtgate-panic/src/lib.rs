//! The meaning of a panic: one that was contained ends one request, any other ends the process.
//!
//! What is not called or polled through [`contain`] or [`contained`] is not contained, so that a thread
//! or a task that nobody thought of ends the process with a line, instead of going missing. A message
//! names the place of a panic and never its text, which may hold what a client sent.

use std::cell::Cell;
use std::fmt::Arguments;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The exit code of a process that ended because of a bug.
const EXIT_CODE: i32 = 1;

thread_local! {
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

static COUNT: AtomicU64 = AtomicU64::new(0);

/// Work that ended in a panic, which has been reported and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Panicked;

/// Reports every panic from here on in one line, and ends the process at one that is not contained.
pub fn install() {
    std::panic::set_hook(Box::new(report));
}

/// Panics that were contained since the process started.
#[must_use]
pub fn count() -> u64 {
    COUNT.load(Ordering::Relaxed)
}

/// Does `work`; a panic in it ends `work` alone.
///
/// What `work` changes and others use must be behind [`lock`], [`read`] or [`write()`].
pub fn contain<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    let outer = CONTAINED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    CONTAINED.set(outer);
    result.map_err(|_| {
        COUNT.fetch_add(1, Ordering::Relaxed);
        Panicked
    })
}

/// The output of `future`; a panic in it ends `future` alone. Takes a `pin!(…)` or a `Box::pin(…)`.
pub async fn contained<F: Future + Unpin>(mut future: F) -> Result<F::Output, Panicked> {
    std::future::poll_fn(
        |context| match contain(|| Pin::new(&mut future).poll(context)) {
            Ok(polled) => polled.map(Ok),
            Err(panicked) => std::task::Poll::Ready(Err(panicked)),
        },
    )
    .await
}

/// Locks what must never be used half changed: if a panic came in between, the process ends.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|_| poisoned::<T>())
}

/// Like [`lock`], to read.
pub fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(|_| poisoned::<T>())
}

/// Like [`lock`], to write.
pub fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(|_| poisoned::<T>())
}

/// Writes a line to standard error, formatted like `eprintln!`, which would panic when nobody reads
/// there any more or the disk behind it is full.
#[macro_export]
macro_rules! say {
    ($($line:tt)*) => {
        $crate::write_line(format_args!($($line)*))
    };
}

/// What [`say!`] does; a line that cannot be written is lost.
pub fn write_line(line: Arguments<'_>) {
    let _ = std::io::stderr().write_all(format!("thoughtgate: {line}\n").as_bytes());
}

fn poisoned<T>() -> ! {
    let what = std::any::type_name::<T>();
    say!(
        "error: the process ends because a bug left a lock half changed ({what}); please report it"
    );
    std::process::exit(EXIT_CODE)
}

fn report(panic: &PanicHookInfo<'_>) {
    let contained = CONTAINED.get();
    let end = if contained {
        "a request"
    } else {
        "the process"
    };
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    // Always there, as the standard library says.
    let place = panic.location().map(ToString::to_string);
    let place = place.unwrap_or_default();
    say!(
        "error: {end} ends because of a bug (panic at {place}, thread `{thread}`); please report it"
    );
    if !contained {
        std::process::exit(EXIT_CODE);
    }
}

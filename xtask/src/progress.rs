//! Progress on stderr: one bar line with the time left on a terminal, plain lines elsewhere.
//!
//! Deliberately absent: colour (so `NO_COLOR` holds by itself) and stdout, which is for results.

use std::cell::Cell;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use crate::say::say;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The progress of one command. Not shared between threads.
pub struct Progress {
    bar: Option<ProgressBar>,
    started: Instant,
    planned_seconds: Cell<f64>,
    done_seconds: Cell<f64>,
}

/// A running step; dropping it ends the step.
#[must_use = "the step ends when this is dropped"]
pub struct Step<'a> {
    progress: &'a Progress,
    planned_seconds: f64,
}

impl Progress {
    /// A bar if stderr is a terminal that can move its cursor, lines otherwise.
    pub fn new() -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let bar = (std::io::stderr().is_terminal() && !dumb).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}")
                .expect("the template is a constant");
            bar.set_style(style);
            // Once a second: drawing must not disturb what is being measured.
            bar.enable_steady_tick(Duration::from_secs(1));
            bar
        });
        Self {
            bar,
            started: Instant::now(),
            planned_seconds: Cell::new(0.0),
            done_seconds: Cell::new(0.0),
        }
    }

    /// Adds `seconds` to the planned time, from which the time left is computed.
    pub fn plan(&self, seconds: f64) {
        self.planned_seconds
            .set(self.planned_seconds.get() + seconds);
    }

    /// Begins a step that should take `planned_seconds`; it ends when the result is dropped.
    pub fn step(&self, label: &str, planned_seconds: f64) -> Step<'_> {
        let left = self.planned_seconds.get() - self.done_seconds.get();
        // A plan may have been too short; at least this step is left.
        let left = describe_left(left.max(planned_seconds));
        let elapsed = self.started.elapsed().as_secs();
        match &self.bar {
            Some(bar) => bar.set_message(format!("{label}{left}")),
            None => say!("[{elapsed:>4} s{left}] {label}"),
        }
        Step {
            progress: self,
            planned_seconds,
        }
    }

    /// Prints a line between the steps, such as a warning, above the bar.
    pub fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say!("{text}")),
            None => say!("{text}"),
        }
    }
}

impl Drop for Step<'_> {
    fn drop(&mut self) {
        let done = &self.progress.done_seconds;
        done.set(done.get() + self.planned_seconds);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The time left as a suffix, such as `, about 10 s left`; empty below one second.
fn describe_left(seconds: f64) -> String {
    let whole = Duration::from_secs_f64(seconds.max(0.0)).as_secs();
    match (whole / 60, whole % 60) {
        (0, 0) => String::new(),
        (0, seconds) => format!(", about {seconds} s left"),
        (minutes, seconds) => format!(", about {minutes} min {seconds} s left"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_shrinks_by_what_was_planned() {
        let progress = Progress::new();
        progress.plan(30.0);
        drop(progress.step("first", 20.0));
        assert!((progress.planned_seconds.get() - progress.done_seconds.get() - 10.0).abs() < 1e-9);
        assert_eq!(describe_left(10.0), ", about 10 s left");
        assert_eq!(describe_left(125.9), ", about 2 min 5 s left");
        assert_eq!(describe_left(0.2), "");
    }
}

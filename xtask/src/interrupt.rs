//! Ctrl-C and SIGTERM as a flag that the work checks between its steps, so that a run that is
//! cut off still saves what it has.
//!
//! Deliberately absent: ending children (the tools layer kills them on drop) and exiting.

use std::fmt;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::say::say;
use anyhow::Context as _;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

// The number of the first signal that arrived; no signal has the number 0.
static RECEIVED: AtomicI32 = AtomicI32::new(0);

/// Error of a step that stopped because SIGINT or SIGTERM had arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interrupted {
    pub signal: i32,
}

impl fmt::Display for Interrupted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.signal {
            SIGINT => "SIGINT",
            SIGTERM => "SIGTERM",
            _ => return write!(formatter, "interrupted by signal {}", self.signal),
        };
        write!(formatter, "interrupted by {name}")
    }
}

impl std::error::Error for Interrupted {}

/// From here on SIGINT and SIGTERM set the flag instead of ending the process.
pub fn install() -> anyhow::Result<()> {
    let mut signals =
        Signals::new([SIGINT, SIGTERM]).context("failed to listen for SIGINT and SIGTERM")?;
    // A thread instead of a signal handler, which could not safely print.
    thread::spawn(move || {
        for signal in signals.forever() {
            // The first signal determines the exit code; later ones change nothing.
            let first = RECEIVED.compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst);
            if first.is_ok() {
                say!("stopping");
            }
        }
    });
    Ok(())
}

/// Returns an error once a signal has arrived. Long work calls it between its steps.
pub fn check() -> Result<(), Interrupted> {
    read(&RECEIVED)
}

/// The interruption among the causes of `error`, if there is one.
pub fn cause(error: &anyhow::Error) -> Option<Interrupted> {
    error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Interrupted>().copied())
}

fn read(received: &AtomicI32) -> Result<(), Interrupted> {
    match received.load(Ordering::SeqCst) {
        0 => Ok(()),
        signal => Err(Interrupted { signal }),
    }
}

/// Sleeps for `time`, or until a signal arrives, which is an error.
pub fn rest(time: Duration) -> anyhow::Result<()> {
    let until = Instant::now() + time;
    while let left = until.saturating_duration_since(Instant::now())
        && !left.is_zero()
    {
        check()?;
        // In short steps, so that a signal is noticed soon.
        std::thread::sleep(left.min(Duration::from_millis(100)));
    }
    Ok(())
}

/// Calls `poll` until it finds something, with a pause of `interval` between two calls. Returns none when
/// `limit` has passed: only the caller can say what was waited for.
///
/// # Errors
/// That of `poll`, or a signal that has arrived.
pub fn until<T>(
    limit: Duration,
    interval: Duration,
    poll: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<Option<T>> {
    until_received(&RECEIVED, limit, interval, poll)
}

fn until_received<T>(
    received: &AtomicI32,
    limit: Duration,
    interval: Duration,
    mut poll: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<Option<T>> {
    let started = Instant::now();
    loop {
        let polled = poll();
        // What was found is returned even after a signal, which the caller's next check reports.
        if let Ok(Some(found)) = polled {
            return Ok(Some(found));
        }
        // Before an error of `poll`: the signal may have ended what is waited for, too.
        read(received)?;
        polled?;
        // Checked after a poll, so that a limit of zero still polls once.
        if started.elapsed() > limit {
            return Ok(None);
        }
        thread::sleep(interval);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_is_an_error_that_survives_context() {
        assert_eq!(read(&AtomicI32::new(0)), Ok(()));
        let interrupted = read(&AtomicI32::new(SIGTERM)).unwrap_err();
        assert_eq!(interrupted.to_string(), "interrupted by SIGTERM");
        let wrapped = anyhow::Error::new(interrupted).context("failed to measure `latency/p50`");
        assert_eq!(cause(&wrapped), Some(interrupted));
        assert_eq!(cause(&anyhow::anyhow!("no")), None);
    }

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_wait_ends_with_what_is_found_with_an_error_and_with_its_limit() {
        let mut left = 3;
        let found = until(LONG, Duration::ZERO, || {
            left -= 1;
            Ok((left == 0).then_some("it"))
        });
        assert_eq!((found.unwrap(), left), (Some("it"), 0));
        let broken: anyhow::Result<Option<()>> =
            until(LONG, Duration::ZERO, || anyhow::bail!("broken"));
        assert_eq!(broken.unwrap_err().to_string(), "broken");
        let mut polls = 0;
        let nothing: Option<()> = until(Duration::ZERO, Duration::from_millis(1), || {
            polls += 1;
            Ok(None)
        })
        .unwrap();
        assert!(nothing.is_none() && polls > 0);
    }

    #[test]
    fn a_signal_ends_a_wait_and_comes_before_what_it_caused() {
        let received = AtomicI32::new(0);
        let waits = |polled: fn() -> anyhow::Result<Option<()>>| {
            received.store(0, Ordering::SeqCst);
            let mut polls = 0;
            let ended = until_received(&received, LONG, Duration::ZERO, || {
                polls += 1;
                received.store(SIGINT, Ordering::SeqCst);
                polled()
            });
            assert_eq!(polls, 1);
            ended
        };
        for polled in [|| Ok(None), || anyhow::bail!("the proxy died")] {
            let ended = waits(polled).unwrap_err();
            assert_eq!(cause(&ended), Some(Interrupted { signal: SIGINT }));
        }
        assert!(waits(|| Ok(Some(()))).unwrap().is_some());
    }
}

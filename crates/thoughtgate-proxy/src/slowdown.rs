//! A program that is slower by a known amount, to prove that measuring finds it. Built in only with the
//! feature `slowdown`, which no release has; it does nothing unless the environment says what.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Says what: `busy_ns=1500`, or several of these with commas between.
const VARIABLE: &str = "INJECTED_SLOWDOWN";
/// How long the calls of the tail wait, each for itself: longer than any that is not held up.
const TAIL: Duration = Duration::from_millis(5);

/// What is slower.
#[derive(Debug, Default)]
struct Slowdown {
    /// CPU time that each call takes more.
    busy: Duration,
    /// One call in so many belongs to the tail; none when it is 0.
    tail_every: u64,
    /// Memory that is kept from the start.
    kept_bytes: usize,
    /// Time that the start takes more.
    start: Duration,
}

static CALLS: AtomicU64 = AtomicU64::new(0);
static KEPT: OnceLock<Vec<u8>> = OnceLock::new();

/// Holds up the start.
pub fn at_start() {
    let slowdown = slowdown();
    std::thread::sleep(slowdown.start);
    // Touched, so that it counts.
    KEPT.get_or_init(|| vec![1; slowdown.kept_bytes]);
}

/// Holds up a call.
pub async fn at_call() {
    let slowdown = slowdown();
    let number = CALLS.fetch_add(1, Ordering::Relaxed);
    if slowdown.tail_every > 0 && number.is_multiple_of(slowdown.tail_every) {
        tokio::time::sleep(TAIL).await;
    }
    let until = Instant::now() + slowdown.busy;
    while Instant::now() < until {
        std::hint::spin_loop();
    }
}

fn slowdown() -> &'static Slowdown {
    static READ: OnceLock<Slowdown> = OnceLock::new();
    READ.get_or_init(|| {
        let text = std::env::var(VARIABLE).unwrap_or_default();
        let mut slowdown = Slowdown::default();
        for (name, value) in text.split(',').filter_map(|part| part.split_once('=')) {
            let value: u64 = value.parse().unwrap_or(0);
            match name {
                "busy_ns" => slowdown.busy = Duration::from_nanos(value),
                "tail_every" => slowdown.tail_every = value,
                "kept_bytes" => slowdown.kept_bytes = usize::try_from(value).unwrap_or(0),
                "start_us" => slowdown.start = Duration::from_micros(value),
                _ => {}
            }
        }
        slowdown
    })
}

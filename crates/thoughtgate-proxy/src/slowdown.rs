//! Slows the program down by a known amount, to prove that measurements find it. Compiled only with the
//! feature `slowdown`, which no release has; does nothing unless an environment variable is set.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Environment variable with the slowdown: `busy_ns=1500`, or several of these separated by commas.
const VARIABLE: &str = "INJECTED_SLOWDOWN";
/// Delay of each call of the tail: longer than any call takes without it.
const TAIL: Duration = Duration::from_millis(5);

/// The slowdown that is configured.
#[derive(Debug, Default)]
struct Slowdown {
    /// Additional CPU time of each call.
    busy: Duration,
    /// One call in this many is delayed by [`TAIL`]; none if it is 0.
    tail_every: u64,
    /// Additional memory, kept from the start.
    kept_bytes: usize,
    /// Additional time of the start.
    start: Duration,
}

static CALLS: AtomicU64 = AtomicU64::new(0);
static KEPT: OnceLock<Vec<u8>> = OnceLock::new();

/// Delays the start, and allocates the additional memory.
pub fn at_start() {
    let slowdown = slowdown();
    std::thread::sleep(slowdown.start);
    // Not zeros, so that every page is touched and counts as resident.
    KEPT.get_or_init(|| vec![1; slowdown.kept_bytes]);
}

/// Delays a call.
pub async fn at_call() {
    let slowdown = slowdown();
    let number = CALLS.fetch_add(1, Ordering::Relaxed);
    // By count and not at random, so that exactly this share of the calls is slow in every run.
    if slowdown.tail_every > 0 && number.is_multiple_of(slowdown.tail_every) {
        tokio::time::sleep(TAIL).await;
    }
    let until = Instant::now() + slowdown.busy;
    // Spun and not slept: it has to cost CPU time.
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

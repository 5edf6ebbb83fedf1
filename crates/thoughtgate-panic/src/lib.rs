//! Panic policy: a contained panic ends one request, any other panic ends the process. Also the log that
//! says so.
//!
//! Only work that runs through [`contain`] or [`contained`] is contained. A panic in any other thread or
//! task ends the process with an error line, so that none of them disappears unnoticed. The line names
//! the source location of the panic and never its message, which may quote what a client sent.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub mod log;
mod time;

pub use time::rfc3339;

/// Exit code of a process that a panic ended.
const EXIT_CODE: i32 = 1;

thread_local! {
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

static COUNT: AtomicU64 = AtomicU64::new(0);

/// Error of work that panicked; the panic has been reported and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Panicked;

/// Installs the panic hook: each panic is reported in one line of the log, and one that is not
/// contained ends the process.
pub fn install() {
    std::panic::set_hook(Box::new(report));
}

/// Number of contained panics since the process started.
#[must_use]
pub fn count() -> u64 {
    // `Relaxed` suffices: the count is for metrics alone, and nothing is ordered by it.
    COUNT.load(Ordering::Relaxed)
}

/// Runs `work`; a panic in it ends `work` alone.
///
/// State that `work` changes and other code uses must be behind [`lock`], [`read`] or [`write()`], which
/// end the process when a panic has left it half changed.
pub fn contain<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    // The former value is restored: contained work may contain further work.
    let outer = CONTAINED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    CONTAINED.set(outer);
    result.map_err(|_| {
        COUNT.fetch_add(1, Ordering::Relaxed);
        Panicked
    })
}

/// Awaits `future`; a panic in one of its polls ends `future` alone. Takes a `pin!(…)` or a
/// `Box::pin(…)`.
pub async fn contained<F: Future + Unpin>(mut future: F) -> Result<F::Output, Panicked> {
    // Marked for each poll and not once: the next poll may be on another thread.
    std::future::poll_fn(
        |context| match contain(|| Pin::new(&mut future).poll(context)) {
            Ok(polled) => polled.map(Ok),
            Err(panicked) => std::task::Poll::Ready(Err(panicked)),
        },
    )
    .await
}

/// Locks `mutex`. Ends the process if the lock is poisoned, because the value may be half changed.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|_| poisoned::<T>())
}

/// Locks for reading. Ends the process if the lock is poisoned, as [`lock()`] does.
pub fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(|_| poisoned::<T>())
}

/// Locks for writing. Ends the process if the lock is poisoned, as [`lock()`] does.
pub fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(|_| poisoned::<T>())
}

fn poisoned<T>() -> ! {
    let what = std::any::type_name::<T>();
    error!("the process exits because a bug left a `{what}` half changed; please report it");
    log::flush();
    std::process::exit(EXIT_CODE)
}

fn report(panic: &PanicHookInfo<'_>) {
    // The hook runs before the stack unwinds, on the thread that panicked, so the mark is still that of
    // the work.
    let contained = CONTAINED.get();
    let end = if contained {
        "a request failed"
    } else {
        "the process exits"
    };
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    // Documented to be always `Some`, though a later standard library may change that.
    let place = panic.location().map(ToString::to_string);
    let place = place.unwrap_or_default();
    error!("{end} because of a bug (panic at {place}, thread `{thread}`); please report it");
    if !contained {
        log::flush();
        std::process::exit(EXIT_CODE);
    }
}

//! Tasks that belong to one request or one connection: a panic ends the task alone.
//!
//! Whatever is spawned in another way ends the process when it panics: see [`thoughtgate_panic`].

use thoughtgate_panic::contained;
use tokio::task::AbortHandle;

/// Spawns such a task. What a panic in it ends has been reported, and nobody waits for its output.
pub fn spawn(work: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
    let work = Box::pin(work);
    let task = tokio::spawn(async move {
        let _ = contained(work).await;
    });
    task.abort_handle()
}

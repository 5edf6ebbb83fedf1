//! Tasks that belong to one request or one connection: a panic ends only the task.
//!
//! A task that is spawned in another way ends the process when it panics: see [`thoughtgate_panic`].

use thoughtgate_panic::contained;
use tokio::task::AbortHandle;

/// Spawns such a task. A panic in it is reported by the panic hook; nothing waits for its output.
pub fn spawn(work: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
    let work = Box::pin(work);
    let task = tokio::spawn(async move {
        let _ = contained(work).await;
    });
    task.abort_handle()
}

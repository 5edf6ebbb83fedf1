//! The HTTP/1 server of the doubles: accepts, serves, and stops at once on request.
//!
//! Knows no route. Stopping closes open connections, as a crashed server would.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::body::{Aborted, Answer};

/// The request handler of a double.
pub(crate) trait Handler: Send + Sync + 'static {
    /// Called for each accepted connection.
    fn accepted(&self) {}

    /// Answers a request; `Err` closes the connection without an answer.
    fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Answer>, Aborted>> + Send;
}

/// A double on a thread of its own, which stops on drop.
#[derive(Debug)]
pub(crate) struct Running {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Binds `listen`, then serves on a new thread the handler that `make` builds in its runtime.
    pub(crate) fn spawn<H, M>(name: &str, listen: SocketAddr, make: M) -> io::Result<Self>
    where
        H: Handler,
        M: FnOnce() -> io::Result<Arc<H>> + Send + 'static,
    {
        let listener = bind(listen)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        // Built here and not on the thread, so that an error reaches the caller.
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                runtime.block_on(async move {
                    let served = async {
                        let handler = make()?;
                        serve(listener, handler).await
                    };
                    tokio::select! {
                        result = served => result.expect("a bound listener can be served"),
                        _ = stopped => {}
                    }
                });
            })?;
        Ok(Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops and returns when the port is closed, without blocking the caller's runtime.
    pub(crate) async fn shutdown(mut self) {
        // The thread ends within one turn of its loop. A join error is a panic, already printed.
        let _ = tokio::task::spawn_blocking(move || self.stop()).await;
    }

    /// Stops and waits until the port is closed.
    fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was printed already. Another panic in a drop would abort the tests.
            let _ = thread.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Serves on the caller's runtime, until dropped, the handler that `make` builds. Calls `listening`
/// with the address first.
pub(crate) async fn run<H: Handler>(
    listen: SocketAddr,
    make: impl FnOnce() -> io::Result<Arc<H>>,
    listening: impl FnOnce(SocketAddr) -> io::Result<()>,
) -> io::Result<()> {
    let listener = bind(listen)?;
    let handler = make()?;
    listening(listener.local_addr()?)?;
    serve(listener, handler).await
}

/// Binds a non-blocking listener for [`serve`].
fn bind(listen: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(listen)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves until dropped. The only error is a listener that tokio does not accept.
async fn serve<H: Handler>(listener: TcpListener, handler: Arc<H>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let mut http = http1::Builder::new();
    http.auto_date_header(false);
    loop {
        // A failed accept concerns one client only. Without free descriptors, others must end first.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            continue;
        };
        handler.accepted();
        // A connection without it only gets its answers later.
        let _ = stream.set_nodelay(true);
        let handler = Arc::clone(&handler);
        let connection = http.serve_connection(
            TokioIo::new(stream),
            service_fn(move |request| Arc::clone(&handler).answer(request)),
        );
        tokio::spawn(async move {
            // An error is ignored: a disconnect of the client shows in the counters.
            let _ = connection.await;
        });
    }
}

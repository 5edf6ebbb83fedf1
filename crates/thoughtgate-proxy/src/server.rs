//! Life cycle of the server: bind, start the workers, accept connections, drain.
//!
//! Each worker is one thread with its own current-thread runtime and upstream pool, so that a request
//! never crosses threads. [`crate::accept`] distributes connections among the workers.

use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;

use crate::accept::{self, Handoff};
use crate::routes::Routes;
use crate::state::Shared;
use crate::worker::Worker;
use crate::{approve, jwks, logged, observe, probe, sockets};

/// A proxy whose sockets are bound and which does not serve yet.
pub struct Server {
    shared: Arc<Shared>,
    main: TcpListener,
    admin: Option<TcpListener>,
}

/// Result of [`Server::run`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Number of requests that were still in flight at the drain deadline.
    pub cut_off: usize,
}

impl Server {
    /// Binds the sockets of the settings. The error names the address.
    pub fn bind(shared: Arc<Shared>) -> std::io::Result<Server> {
        // Both sockets are bound before anything runs, so that an address in use is an error of the start.
        let main = sockets::listen(shared.settings.listen)?;
        let admin = shared
            .settings
            .admin_listen
            .map(sockets::listen)
            .transpose()?;
        Ok(Server {
            shared,
            main,
            admin,
        })
    }

    /// Bound address of the MCP endpoint, with the actual port if port 0 was configured.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.main.local_addr()
    }

    /// Bound address of the admin routes, if they have their own.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin
            .as_ref()
            .and_then(|listener| listener.local_addr().ok())
    }

    /// Serves until `stop` resolves, then waits for in-flight requests until the drain deadline.
    ///
    /// Runs on the control thread's runtime; dropping the future stops the server at once.
    pub async fn run(self, stop: impl Future<Output = ()>) -> std::io::Result<Drained> {
        let Server {
            shared,
            main,
            admin,
        } = self;
        // With an address of their own, the admin routes are not offered to agents.
        let main_routes = if admin.is_some() {
            Routes::Mcp
        } else {
            Routes::All
        };
        let workers = (0..shared.settings.workers.max(1))
            .map(|index| Handoff::start(index, &shared, main_routes))
            .collect::<std::io::Result<Vec<_>>>()?;
        let probing = tokio::spawn(probe::run(Arc::clone(&shared)));
        let fetching = tokio::spawn(jwks::run(Arc::clone(&shared)));
        let observing = tokio::spawn(observe::run(Arc::clone(&shared)));
        // Makes approved calls whose clients did not wait, on this runtime instead of a worker's.
        let making = tokio::spawn(approve::run_deferred(Worker::new(&shared)));
        let admin_serving =
            admin.map(|listener| tokio::spawn(accept::admin(Arc::clone(&shared), listener)));
        {
            let accepting = pin!(accept::clients(&shared, main, main_routes, &workers));
            let stop = pin!(stop);
            // Accepting ends by itself only when a worker has ended; the others then drain as at a stop.
            tokio::select! {
                ended = accepting => ended?,
                () = stop => {}
            }
            // The listener is closed here, so that new clients are refused and go to another instance.
        }
        shared.drain.start();
        let cut_off = shared.drain.idle(shared.settings.drain_timeout).await;
        // Only now, so that `/ready` and the admin address answer for as long as the drain lasts.
        probing.abort();
        fetching.abort();
        observing.abort();
        making.abort();
        if let Some(serving) = admin_serving {
            serving.abort();
        }
        logged::log_suppressed();
        // Drops the requests that were cut off, which leaves their audit lines.
        for worker in workers {
            worker.end().await;
        }
        Ok(Drained { cut_off })
    }
}

#[cfg(test)]
mod tests;

//! One start of the proxy, timed from before the process is created until `/ready` answers 200.
//!
//! Uses plain sockets: setting up an HTTP client would take a good part of the measured time.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::Context as _;

use super::proxy::Setup;
use super::server::{ANSWER_DEADLINE, STOP_GRACE};
use crate::interrupt;

/// Time between two requests; adds at most this much to a measured time, half of it on average.
const POLL: Duration = Duration::from_micros(500);
const DEADLINE: Duration = Duration::from_secs(15);

/// The metric in which the process reports how long its policies took to load.
pub const LOAD_SECONDS: &str = "thoughtgate_policy_load_seconds";

/// The times of one start, on one clock.
#[derive(Clone, Copy, Debug)]
pub struct Startup {
    /// Until `/health` answered 200.
    pub healthy: Duration,
    /// Until `/ready` answered 200.
    pub ready: Duration,
    /// Time that the policies took to load, as the process reports it; none if it does not.
    pub policy_load: Option<Duration>,
}

/// Starts the proxy, polls it until it is ready, and stops it.
pub fn startup(setup: &Setup) -> anyhow::Result<Startup> {
    // A known address can be polled at once; with port 0 it would first have to be printed.
    let address = free_address()?;
    let mut child = setup.launch(&address.to_string()).start()?;
    let started = child.started();
    let mut until = |path: &str| {
        let limit = DEADLINE.saturating_sub(started.elapsed());
        let answered = interrupt::until(limit, POLL, || {
            if status(address, path) == Some(200) {
                return Ok(Some(started.elapsed()));
            }
            let running = child.check_running();
            running
                .context("the proxy died while starting")
                .map(|()| None)
        });
        answered?.with_context(|| {
            format!("the proxy did not answer `{path}` with 200 within {DEADLINE:?}")
        })
    };
    let healthy = until("/health")?;
    let ready = until("/ready")?;
    // Read after both times are taken, so that it adds nothing to them.
    let text = get(address, "/metrics").unwrap_or_default();
    let seconds = super::exposition::value(&text, LOAD_SECONDS);
    // The exit status is ignored: only the start is measured.
    child.stop(STOP_GRACE);
    Ok(Startup {
        healthy,
        ready,
        policy_load: seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
    })
}

/// An address of the loopback that nobody listens on. Nothing reserves it until it is used.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    listener
        .and_then(|listener| listener.local_addr())
        .context("failed to find a free port")
}

/// Whether `/ready` at `address` answers 200.
pub fn is_ready(address: SocketAddr) -> bool {
    status(address, "/ready") == Some(200)
}

fn status(address: SocketAddr, path: &str) -> Option<u16> {
    get(address, path)?.split_whitespace().nth(1)?.parse().ok()
}

/// The whole response, head and body, to a GET on a connection of its own.
fn get(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(ANSWER_DEADLINE)).ok()?;
    // With `connection: close` the end of the stream ends the response, so that no length is parsed.
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

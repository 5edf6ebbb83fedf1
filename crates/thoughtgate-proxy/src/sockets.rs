//! Options of TCP sockets: for listening, and to detect peers that are gone.
//!
//! Accepted sockets inherit the options of the listening one, so these cost nothing per connection.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

// The kernel lowers it to `net.core.somaxconn` where that is less.
/// Connections that the kernel queues until the acceptor takes them.
const BACKLOG: i32 = 1024;
/// Silence after which the first probe is sent; NAT gateways forget a connection after minutes.
const KEEP_ALIVE_TIME: Duration = Duration::from_secs(60);
/// Interval between two probes.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// Number of unanswered probes after which the peer counts as gone.
const KEEP_ALIVE_RETRIES: u32 = 4;
/// Time after which a peer that does not acknowledge, or does not read, what was sent to it counts as
/// gone. As long as silence and probes together: no probe is sent while data is unacknowledged.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(120);

/// A listening socket. The error names the address.
pub fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(address),
        socket2::Type::STREAM,
        None,
    )?;
    // A restarted proxy can bind at once, while connections of the former one are in TIME_WAIT.
    socket.set_reuse_address(true)?;
    // tokio takes over only sockets that do not block.
    socket.set_nonblocking(true)?;
    // Nagle's algorithm would hold back the end of an answer until the client acknowledges its beginning.
    socket.set_tcp_nodelay(true)?;
    notice_dead_peers(&SockRef::from(&socket))?;
    let bound = socket
        .bind(&address.into())
        .and_then(|()| socket.listen(BACKLOG));
    bound.map_err(|error| {
        std::io::Error::new(
            error.kind(),
            format!("failed to listen on {address}: {error}"),
        )
    })?;
    Ok(socket.into())
}

/// Lets the kernel end a connection whose peer has vanished, about two minutes after its last packet.
pub fn notice_dead_peers(socket: &SockRef<'_>) -> std::io::Result<()> {
    let keep_alive = TcpKeepalive::new()
        .with_time(KEEP_ALIVE_TIME)
        .with_interval(KEEP_ALIVE_INTERVAL)
        .with_retries(KEEP_ALIVE_RETRIES);
    socket.set_tcp_keepalive(&keep_alive)?;
    // On other systems a peer that acknowledges nothing is found by the system's own limit of
    // retransmissions.
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX))?;
    Ok(())
}

/// Whether `error` means that this process or the system has no file descriptors left.
pub fn is_exhausted(error: &std::io::Error) -> bool {
    let code = error.raw_os_error();
    [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE]
        .iter()
        .any(|errno| code == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn an_accepted_socket_sends_at_once_and_notices_a_dead_peer() {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        listener.set_nonblocking(false).unwrap();
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let socket = SockRef::from(&accepted);
        assert!(socket.tcp_nodelay().unwrap());
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEP_ALIVE_TIME);
        assert_eq!(
            socket.tcp_keepalive_interval().unwrap(),
            KEEP_ALIVE_INTERVAL
        );
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), KEEP_ALIVE_RETRIES);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(UNACKNOWLEDGED_MAX));
    }

    #[test]
    fn running_out_of_descriptors_is_told_from_a_client_that_left() {
        let error = |errno: rustix::io::Errno| std::io::Error::from(errno);
        assert!(is_exhausted(&error(rustix::io::Errno::MFILE)));
        assert!(!is_exhausted(&error(rustix::io::Errno::CONNABORTED)));
    }
}

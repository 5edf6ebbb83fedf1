//! Opens a TCP connection to a name that may have several addresses (RFC 8305, "Happy Eyeballs").
//!
//! An address that drops packets, as a broken IPv6 route does, costs a quarter of a second, not the
//! time limit. Has no time limit of its own, and does not speak TLS: a server that accepts is the one
//! that is used.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::net::TcpStream;

/// Head start of an address before the next one is tried beside it (RFC 8305 §5).
const STEP: Duration = Duration::from_millis(250);
/// Limit of the addresses that are tried, each of which may take a descriptor.
const ADDRESSES_MAX: usize = 16;

type Attempt = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

/// Opens a connection to `host`, a name or an address.
pub async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let addresses = tokio::net::lookup_host((host, port)).await?;
    to_first_of(interleaved(addresses)).await
}

/// Opens a connection to the address that accepts one first; attempts at the others end with it.
async fn to_first_of(mut addresses: VecDeque<SocketAddr>) -> io::Result<TcpStream> {
    let mut attempts: Vec<Attempt> = Vec::new();
    let mut first_error = None;
    loop {
        if let Some(address) = addresses.pop_front() {
            attempts.push(Box::pin(TcpStream::connect(address)));
        }
        if attempts.is_empty() {
            return Err(first_error.unwrap_or_else(no_address));
        }
        let finished = if addresses.is_empty() {
            next(&mut attempts).await
        } else {
            match tokio::time::timeout(STEP, next(&mut attempts)).await {
                Ok(finished) => finished,
                Err(_) => continue,
            }
        };
        match finished {
            Ok(stream) => return Ok(stream),
            // The address that the system prefers has the error that explains most.
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
}

/// Result of the attempt that ends first, which is removed.
async fn next(attempts: &mut Vec<Attempt>) -> io::Result<TcpStream> {
    poll_fn(|context| {
        for index in 0..attempts.len() {
            if let Poll::Ready(finished) = attempts[index].as_mut().poll(context) {
                drop(attempts.swap_remove(index));
                return Poll::Ready(finished);
            }
        }
        Poll::Pending
    })
    .await
}

/// The addresses in the system's order of preference, with the two families in turn (RFC 8305 §4).
fn interleaved(addresses: impl Iterator<Item = SocketAddr>) -> VecDeque<SocketAddr> {
    let mut preferred: VecDeque<SocketAddr> = addresses.take(ADDRESSES_MAX).collect();
    let Some(first) = preferred.front().map(SocketAddr::is_ipv6) else {
        return preferred;
    };
    let other = |address: &SocketAddr| address.is_ipv6() != first;
    let mut others: VecDeque<_> = preferred.iter().copied().filter(other).collect();
    preferred.retain(|address| !other(address));
    let mut all = VecDeque::new();
    while let Some(address) = preferred.pop_front() {
        all.push_back(address);
        all.extend(others.pop_front());
    }
    all.extend(others);
    all
}

#[cold]
fn no_address() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the name has no address")
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use socket2::{Domain, SockAddr, Socket, Type};

    use super::*;

    /// Enough on a loaded machine, and far below the time for which a system tries an address.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// An address that answers no SYN, for as long as the sockets live: its queue is full.
    async fn hole() -> (SocketAddr, Socket, Vec<TcpStream>) {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        listener.bind(&SockAddr::from(any)).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let mut clients = Vec::new();
        // Until one gets no answer.
        loop {
            let one = TcpStream::connect(address);
            match tokio::time::timeout(STEP * 2, one).await {
                Ok(one) => clients.push(one.unwrap()),
                Err(_) => return (address, listener, clients),
            }
        }
    }

    fn listening() -> (SocketAddr, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        (listener.local_addr().unwrap(), listener)
    }

    #[tokio::test]
    async fn an_address_that_does_not_answer_is_passed_over() {
        let (silent, _listener, _clients) = hole().await;
        let (good, _accepting) = listening();
        let connecting = to_first_of([silent, silent, good].into());
        let stream = tokio::time::timeout(PATIENCE, connecting).await.unwrap();
        assert_eq!(stream.unwrap().peer_addr().unwrap(), good);
    }

    #[tokio::test]
    async fn an_address_that_refuses_is_passed_over_and_the_first_error_is_kept() {
        let (closed, listener) = listening();
        drop(listener);
        let (good, _accepting) = listening();
        let stream = to_first_of([closed, good].into()).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        let unsupported: SocketAddr = "255.255.255.255:1".parse().unwrap();
        let failed = to_first_of([closed, unsupported].into()).await;
        let refused = io::ErrorKind::ConnectionRefused;
        assert_eq!(failed.unwrap_err().kind(), refused);
        let none = to_first_of(VecDeque::new()).await;
        assert_eq!(none.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn the_families_take_turns_and_the_preferred_one_begins() {
        let order = |addresses: &str| {
            let parse = |address: &str| SocketAddr::new(address.parse().unwrap(), 1);
            let all = interleaved(addresses.split(' ').map(parse));
            let all: Vec<_> = all.iter().map(|address| address.ip().to_string()).collect();
            all.join(" ")
        };
        assert_eq!(order("::1 ::2 ::3 1.1.1.1"), "::1 1.1.1.1 ::2 ::3");
        assert_eq!(order("1.1.1.1 ::1 ::2 ::3"), "1.1.1.1 ::1 ::2 ::3");
        assert_eq!(order("1.1.1.1 1.1.1.2 ::1"), "1.1.1.1 ::1 1.1.1.2");
        assert_eq!(order("::1"), "::1");
    }
}

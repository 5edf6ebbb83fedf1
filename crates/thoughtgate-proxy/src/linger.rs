//! End of a connection: bytes that the client still sends are read and dropped for a while.
//!
//! Closing a socket with unread bytes resets the connection, and a reset discards the answer that the
//! client has not read yet: a client with a body over the limit would see a broken connection, not the
//! 413. The bytes are never parsed, so they cannot become a request.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sixteen times the default of `limits.body_bytes`; a client that sends more gets a reset.
const BYTES_MAX: usize = 64 * 1024 * 1024;
/// Generous: a client that reads its answer closes within a round trip.
const TIME_MAX: Duration = Duration::from_secs(5);

/// Shuts `stream` down for writing and reads until the client closes, within [`BYTES_MAX`] and [`TIME_MAX`].
pub async fn linger(stream: &mut TcpStream) {
    // After an answer that broke off hyper has not done it, and the client would wait for the rest.
    let _ = stream.shutdown().await;
    let reading = async {
        // Boxed, so that the future of each connection does not have room for it.
        let mut scrap = Box::new([0; 16 * 1024]);
        let mut left = BYTES_MAX;
        while left > 0 {
            match stream.read(&mut scrap[..]).await {
                Ok(0) | Err(_) => return,
                Ok(read) => left = left.saturating_sub(read),
            }
        }
    };
    // Past the limits the connection is closed all the same: the client had its time to read the answer.
    let _ = tokio::time::timeout(TIME_MAX, reading).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_client_sees_the_end_before_it_closes() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut received = Vec::new();
        tokio::select! {
            () = linger(&mut stream) => panic!("the connection was closed, not shut down"),
            read = client.read_to_end(&mut received) => assert_eq!(read.unwrap(), 0),
        }
        client.write_all(b"sent on").await.unwrap();
        drop(client);
        linger(&mut stream).await;
    }
}

//! The end of a connection: what the client still sends is read and dropped for a while.
//!
//! A socket that is closed with unread bytes is reset, and a reset takes the answer with it that the
//! client has not read yet: one who sends a body over the limit would see a broken connection, not
//! the 413. Nothing that is read here is looked at, so it cannot become a request.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Sixteen times the default of `limits.body_bytes`; more than that is answered by a reset.
const BYTES_MAX: usize = 64 * 1024 * 1024;
/// A client that reads its answer closes within a round trip.
const TIME_MAX: Duration = Duration::from_secs(5);

/// Reads until the client closes, within [`BYTES_MAX`] and [`TIME_MAX`]. `stream` has been shut
/// down for writing.
pub async fn drain(stream: &mut TcpStream) {
    let reading = async {
        let mut scrap = Box::new([0; 16 * 1024]);
        let mut left = BYTES_MAX;
        while left > 0 {
            match stream.read(&mut scrap[..]).await {
                Ok(0) | Err(_) => return,
                Ok(read) => left = left.saturating_sub(read),
            }
        }
    };
    let _ = tokio::time::timeout(TIME_MAX, reading).await;
}

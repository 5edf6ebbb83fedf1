//! A connection on which a test writes arbitrary bytes: malformed requests, duplicate headers, half
//! bodies.
//!
//! Only the reading side knows HTTP, and only as much as a well-formed answer needs.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::connection::{Response, connect, invalid, parse, within};

/// A TCP connection, closed on drop.
#[derive(Debug)]
pub struct RawConnection {
    stream: TcpStream,
    received: BytesMut,
}

impl RawConnection {
    /// Connects to the host and port of `url` (`http://127.0.0.1:4711/…`).
    pub async fn open(url: &str) -> io::Result<Self> {
        let stream = connect(&parse(url)?.0).await?;
        Ok(Self {
            stream,
            received: BytesMut::new(),
        })
    }

    /// Sends `bytes` as they are.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        within(self.stream.write_all(bytes.as_ref())).await
    }

    /// Closes the sending direction; answers can still be read.
    pub async fn shutdown_write(&mut self) -> io::Result<()> {
        within(self.stream.shutdown()).await
    }

    /// Reads everything until the server closes the connection.
    pub async fn read_to_end(&mut self) -> io::Result<Bytes> {
        while self.read_more().await? {}
        Ok(self.received.split().freeze())
    }

    /// Reads everything up to and including the first occurrence of `mark`.
    ///
    /// # Errors
    /// `UnexpectedEof` if the server closes the connection first.
    pub async fn read_until(&mut self, mark: &str) -> io::Result<Bytes> {
        loop {
            if let Some(at) = find(&self.received, mark.as_bytes()) {
                return Ok(self.received.split_to(at + mark.len()).freeze());
            }
            self.need_more().await?;
        }
    }

    /// Reads one HTTP answer, delimited by its length, its chunks, or the end of the connection.
    ///
    /// # Errors
    /// `UnexpectedEof` if the server closes the connection too early, `InvalidInput` if the answer is
    /// not HTTP.
    pub async fn read_response(&mut self) -> io::Result<Response> {
        let head = self.read_until("\r\n\r\n").await?;
        let (status, headers) = parse_head(&head)?;
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        // RFC 9112, section 6.3: these have no body, whatever their headers say.
        let body = if matches!(status, 100..=199 | 204 | 304) {
            Bytes::new()
        } else if let Some(length) = text("content-length") {
            self.read_exactly(length.parse().map_err(invalid)?).await?
        } else if text("transfer-encoding").is_some() {
            self.read_chunks().await?
        } else {
            self.read_to_end().await?
        };
        Ok(Response {
            status,
            headers,
            body,
        })
    }

    async fn read_exactly(&mut self, length: usize) -> io::Result<Bytes> {
        while self.received.len() < length {
            self.need_more().await?;
        }
        Ok(self.received.split_to(length).freeze())
    }

    async fn read_chunks(&mut self) -> io::Result<Bytes> {
        let mut body = BytesMut::new();
        loop {
            let line = self.read_until("\r\n").await?;
            let line = String::from_utf8_lossy(&line).into_owned();
            // Extensions of a chunk follow a semicolon.
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(invalid)?;
            body.extend_from_slice(&self.read_exactly(size).await?);
            let mut end = self.read_exactly(2).await?;
            if end.get_u16() != u16::from_be_bytes(*b"\r\n") {
                return Err(invalid("a chunk does not end with CR LF"));
            }
            // The two bytes were the empty line that ends the body: trailers are not supported.
            if size == 0 {
                return Ok(body.freeze());
            }
        }
    }

    async fn need_more(&mut self) -> io::Result<()> {
        if self.read_more().await? {
            return Ok(());
        }
        Err(io::ErrorKind::UnexpectedEof.into())
    }

    async fn read_more(&mut self) -> io::Result<bool> {
        let read = within(self.stream.read_buf(&mut self.received)).await?;
        Ok(read > 0)
    }
}

fn parse_head(head: &[u8]) -> io::Result<(u16, HeaderMap)> {
    let head = String::from_utf8_lossy(head).into_owned();
    let mut lines = head.split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let status = status_line
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1))
        .ok_or_else(|| invalid(format!("invalid status line `{status_line}`")))?;
    let mut headers = HeaderMap::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| invalid(format!("invalid header line `{line}`")))?;
        headers.append(
            HeaderName::try_from(name).map_err(invalid)?,
            HeaderValue::try_from(value.trim()).map_err(invalid)?,
        );
    }
    Ok((status.parse().map_err(invalid)?, headers))
}

fn find(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes.windows(mark.len()).position(|window| window == mark)
}

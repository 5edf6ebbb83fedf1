//! An upstream that answers each request with the bytes that a function returns for it, and keeps what it
//! received. Speaks as much HTTP as the proxy sends: no chunked requests.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A received request.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    /// The values of a header, joined by `|`; empty without it.
    pub fn header(&self, name: &str) -> String {
        let values = self.headers.iter().filter(|(found, _)| found == name);
        let values: Vec<&str> = values.map(|(_, value)| value.as_str()).collect();
        values.join("|")
    }

    pub fn is_probe(&self) -> bool {
        self.header("user-agent").starts_with("thoughtgate-probe/")
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// The server; ends with its runtime.
pub struct Scripted {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Scripted {
    pub async fn start(answer: impl Fn(&Request) -> String + Send + Sync + 'static) -> Scripted {
        Scripted::closing(false, answer).await
    }

    /// Like [`Scripted::start`]; `closes`: each connection is closed after its first answer.
    pub async fn closing(
        closes: bool,
        answer: impl Fn(&Request) -> String + Send + Sync + 'static,
    ) -> Scripted {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answer, kept) = (Arc::new(answer), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, kept) = (Arc::clone(&answer), Arc::clone(&kept));
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    while let Some(request) = read(&mut stream).await {
                        let bytes = answer(&request);
                        kept.lock().unwrap().push(request);
                        if stream.write_all(bytes.as_bytes()).await.is_err() || closes {
                            return;
                        }
                    }
                });
            }
        });
        Scripted { address, seen }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The requests that arrived, the oldest first, without probes.
    pub fn calls(&self) -> Vec<Request> {
        let mut seen = self.seen.lock().unwrap().clone();
        seen.retain(|request| !request.is_probe());
        seen
    }

    /// The probes that arrived.
    pub fn probes(&self) -> Vec<Request> {
        let mut seen = self.seen.lock().unwrap().clone();
        seen.retain(Request::is_probe);
        seen
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(0, |(_, length)| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Request {
        method,
        path,
        headers,
        body: String::from_utf8(body).unwrap(),
    })
}

/// A JSON answer.
pub fn json(status: u16, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

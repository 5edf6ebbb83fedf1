//! One `tools/call` on a connection of its own, whose answer is not waited for.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::server::ANSWER_DEADLINE;
use crate::tools::load;

/// A call that is ready to be sent.
#[derive(Debug)]
pub struct OpenCall {
    stream: TcpStream,
    request: Vec<u8>,
}

impl OpenCall {
    /// Connects to the proxy. The call is that of all scenarios, with another tool and arguments.
    pub(super) fn new(
        address: SocketAddr,
        tool: &str,
        arguments: &Value,
    ) -> anyhow::Result<OpenCall> {
        let mut message: Value =
            serde_json::from_str(load::MESSAGE).context("failed to read `call.json`")?;
        message["params"]["name"] = json!(tool);
        message["params"]["arguments"] = arguments.clone();
        let body = message.to_string();
        let mut head = format!("POST /mcp HTTP/1.1\r\nhost: {address}\r\n");
        head.push_str("content-type: application/json\r\n");
        head.push_str("accept: application/json, text/event-stream\r\n");
        for header in load::headers(&body)? {
            head.push_str(&header);
            head.push_str("\r\n");
        }
        let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
        let connect = || {
            let stream = TcpStream::connect_timeout(&address, ANSWER_DEADLINE)?;
            stream.set_nodelay(true)?;
            stream.set_write_timeout(Some(ANSWER_DEADLINE))?;
            Ok::<_, std::io::Error>(stream)
        };
        // Connected here, so that `send` does nothing but write.
        let stream = connect().with_context(|| format!("failed to connect to {address}"))?;
        Ok(OpenCall {
            stream,
            request: request.into_bytes(),
        })
    }

    /// Sends the call. Dropping the value closes the connection, and so gives up the answer.
    pub fn send(&mut self) -> anyhow::Result<()> {
        let sent = self.stream.write_all(&self.request);
        sent.context("failed to send a call to the measured proxy")
    }
}

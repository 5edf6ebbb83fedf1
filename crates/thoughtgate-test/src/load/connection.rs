//! One keep-alive connection of the driver, reopened when the server has closed it.
//!
//! Repeats a request only if no byte of it was sent.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::check::{Expect, Failure};
use super::template::Template;
use crate::client::sse::is_event_stream;
use crate::timer::Timer;

/// A connection that is opened when it is needed.
#[derive(Debug)]
pub(super) struct Link {
    template: Arc<Template>,
    timer: Timer,
    sender: Option<SendRequest<Full<Bytes>>>,
    /// Number of times that an idle connection was found closed.
    pub(super) reconnects: u64,
}

impl Link {
    pub(super) fn new(template: Arc<Template>, timer: Timer) -> Self {
        Self {
            template,
            timer,
            sender: None,
            reconnects: 0,
        }
    }

    /// Connects unless connected.
    pub(super) async fn open(&mut self, patience: Duration) -> Result<(), Failure> {
        if let Some(sender) = &mut self.sender {
            if sender.ready().await.is_ok() {
                return Ok(());
            }
            self.reconnects += 1;
        }
        self.sender = None;
        let connecting = async {
            let stream = TcpStream::connect(&self.template.authority).await?;
            stream.set_nodelay(true)?;
            let handshake = http1::handshake(TokioIo::new(stream)).await;
            handshake.map_err(std::io::Error::other)
        };
        let connected = self.timer.timeout(patience, connecting).await;
        let (sender, connection) = connected
            .ok_or(Failure::Timeout)?
            .map_err(|error| Failure::Connect(error.to_string()))?;
        tokio::spawn(async move {
            // An error is ignored: the request that waits for an answer gets one too.
            let _ = connection.await;
        });
        self.sender = Some(sender);
        Ok(())
    }

    /// Sends one request, reads the complete answer and checks it.
    pub(super) async fn exchange(
        &mut self,
        id: u64,
        expect: &Expect,
        patience: Duration,
    ) -> Result<(), Failure> {
        let timer = self.timer.clone();
        let attempt = self.attempt(id, expect, patience);
        let result = timer.timeout(patience, attempt).await;
        let result = result.unwrap_or(Err(Failure::Timeout));
        // An answer that comes late must not be taken for that of the next request.
        if matches!(
            result,
            Err(Failure::Timeout | Failure::Closed(_) | Failure::Connect(_))
        ) {
            self.sender = None;
        }
        result
    }

    async fn attempt(
        &mut self,
        id: u64,
        expect: &Expect,
        patience: Duration,
    ) -> Result<(), Failure> {
        let id = id.to_string();
        let mut request = self.template.request(&id);
        let reconnects_before = self.reconnects;
        let response = loop {
            self.open(patience).await?;
            let Some(sender) = &mut self.sender else {
                return Err(Failure::Connect("not connected".to_owned()));
            };
            match sender.try_send_request(request).await {
                Ok(response) => break response,
                Err(mut refused) => match refused.take_message() {
                    // The server closed the idle connection just before its use. If it closes the
                    // new connection too, the request fails.
                    Some(unsent) if self.reconnects == reconnects_before => {
                        request = unsent;
                        self.sender = None;
                        self.reconnects += 1;
                    }
                    _ => return Err(closed(refused.error())),
                },
            }
        };
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| closed(&error))?;
        let is_event_stream = is_event_stream(&head.headers);
        let id = self.template.has_id().then_some(id.as_str());
        expect.check(head.status.as_u16(), is_event_stream, &body.to_bytes(), id)
    }
}

fn closed(error: &hyper::Error) -> Failure {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    Failure::Closed(format!("{error}{}", cause.unwrap_or_default()))
}

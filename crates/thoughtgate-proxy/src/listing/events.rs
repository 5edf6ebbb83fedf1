//! Filters the tool lists in a stream of events; an event is held back until it is complete.
//!
//! An event that cannot be read, is too large, or takes too long ends the stream with an error. Where the
//! client listens for changes, those of the policies are added to it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use thoughtgate_mcp::sse;
use thoughtgate_mcp::tools::{Events, Refused};
use tokio::time::{Sleep, sleep};

use super::changes::Changes;
use super::{Filter, Unfiltered};
use crate::budget::{Reserved, Spent};
use crate::failed::Failed;
use crate::problem::Problem;
use crate::relay::{BodyError, Relay};
use crate::settings::Rules;

/// The events of an upstream's answer, with tool lists filtered.
pub struct EventFilter {
    relay: Option<Relay>,
    filter: Filter,
    events: Events,
    /// Room for the bytes that are held; `None` once the stream has ended.
    reserved: Option<Reserved>,
    at_most: Duration,
    /// Notifications of the proxy's own.
    changes: Option<Changes>,
    /// Runs while an event is held.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl EventFilter {
    /// Filters `relay`'s events, each of at most `limits.list_bytes` and `timeouts.response`.
    #[must_use]
    pub fn new(relay: Relay, filter: Filter, rules: &Rules) -> EventFilter {
        // Cannot fail for 0 bytes; growing it can.
        let reserved = filter.shared.budget.reserve(0).ok();
        EventFilter {
            relay: Some(relay),
            events: Events::new(filter.era, rules.limits.list_bytes),
            changes: filter.changes(),
            filter,
            reserved,
            at_most: rules.response_timeout,
            deadline: None,
        }
    }

    /// The next events, and comments that the upstream sends to keep the stream open.
    pub fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        while let Some(relay) = &mut self.relay {
            // Only between events, since a client would take it for a part of the one that is held.
            if self.events.held() == 0
                && let Some(event) = self.changes.as_mut().and_then(|own| own.next(context))
            {
                return Poll::Ready(Some(Ok(Frame::data(event))));
            }
            let mut out = Vec::new();
            let step = match relay.poll(context) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => self.take(&data, &mut out),
                    Err(_) => Ok(()),
                },
                Poll::Ready(Some(Err(error))) => {
                    self.relay = None;
                    return Poll::Ready(Some(Err(error.into())));
                }
                Poll::Ready(None) => {
                    self.relay = None;
                    self.finish(&mut out)
                }
                // Looked at only while nothing arrives: an event that is complete by now is in time. This
                // also sets the waker for the deadline.
                Poll::Pending if self.is_late(context) => {
                    Err(Failed::List(Unfiltered::Slow(self.at_most)))
                }
                Poll::Pending => return Poll::Pending,
            };
            if let Err(failed) = step {
                self.end(&failed, &mut out);
            }
            if !out.is_empty() {
                if let Some(changes) = &mut self.changes {
                    changes.passed(&out);
                }
                return Poll::Ready(Some(Ok(Frame::data(Bytes::from(out)))));
            }
        }
        Poll::Ready(None)
    }

    fn take(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), Failed> {
        let reserved = self.reserved.as_mut().ok_or(Spent)?;
        reserved.grow(data.len())?;
        let (filter, events) = (&self.filter, &mut self.events);
        filter
            .with_decision(|choose| events.push(data, choose, out))
            .map_err(refused)?;
        let held = events.held();
        reserved.shrink_to(held);
        // Set once per event and not renewed by its further pieces, so that a slow sender cannot extend it.
        if held == 0 {
            self.deadline = None;
        } else if self.deadline.is_none() {
            self.deadline = Some(Box::pin(sleep(self.at_most)));
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Failed> {
        let (filter, events) = (&self.filter, &mut self.events);
        filter
            .with_decision(|choose| events.finish(choose, out))
            .map_err(refused)
    }

    /// Whether an event that is held has not ended in time.
    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        let deadline = self.deadline.as_mut();
        deadline.is_some_and(|deadline| deadline.as_mut().poll(context).is_ready())
    }

    /// Ends the stream with an error, which takes the place of the answer.
    fn end(&mut self, failed: &Failed, out: &mut Vec<u8>) {
        // Nothing more of the upstream's answer is read for this client.
        self.relay = None;
        self.reserved = None;
        self.deadline = None;
        let problem = Problem::Failed(failed);
        problem.count(&self.filter.shared);
        out.extend_from_slice(&sse::encode(&problem.body(self.filter.id())));
    }
}

fn refused(refused: Refused) -> Failed {
    Failed::List(refused.into())
}

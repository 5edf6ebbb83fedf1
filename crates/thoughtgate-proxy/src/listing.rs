//! `tools/list` answers show what the caller may call: the same decision, asked ahead of the call.
//!
//! A list is the one answer whose content is looked at. What cannot be read (an encoding, another
//! media type, too many bytes) is refused rather than passed on unfiltered.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Frame;
use thoughtgate_mcp::{Era, sse, tools};

use crate::body::{BodyError, Relay};
use crate::state::Shared;

/// Whose list it is, and by which policies it is cut.
pub struct Filter {
    shared: Arc<Shared>,
    principal: String,
    era: Era,
}

impl Filter {
    /// A filter for one response.
    #[must_use]
    pub fn new(shared: Arc<Shared>, principal: String, era: Era) -> Filter {
        Filter {
            shared,
            principal,
            era,
        }
    }

    /// The message with the tools taken out that the caller may not call; `None` when it can stay
    /// as it is, `Err` when it cannot be read.
    pub fn apply(&self, message: &[u8]) -> Result<Option<Vec<u8>>, BodyError> {
        if message.trim_ascii().is_empty() {
            // An event that only carries an id, for resuming the stream.
            return Ok(None);
        }
        // Asked anew for each message: a stream may outlive many generations.
        let snapshot = self.shared.snapshot();
        let keep = |tool: &str| {
            snapshot
                .engine
                .as_ref()
                .is_some_and(|engine| engine.lists(&self.principal, tool))
        };
        match tools::filter(message, self.era, keep)? {
            tools::Filtered::Unchanged => Ok(None),
            tools::Filtered::Changed(message) => Ok(Some(message)),
        }
    }
}

/// A stream of events in which tool lists are cut; an event is held back until it is whole.
pub struct EventFilter {
    relay: Relay,
    filter: Filter,
    splitter: sse::Splitter,
    out: VecDeque<Bytes>,
    ended: bool,
}

impl EventFilter {
    /// Filters `relay`'s events, each of at most `limits.list_bytes`.
    #[must_use]
    pub fn new(relay: Relay, filter: Filter) -> EventFilter {
        let splitter = sse::Splitter::new(filter.shared.snapshot().rules.limits.list_bytes);
        EventFilter {
            relay,
            filter,
            splitter,
            out: VecDeque::new(),
            ended: false,
        }
    }

    /// The next event, or a comment that the upstream sent to keep the stream open.
    pub fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            if let Some(bytes) = self.out.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            let step = match ready!(self.relay.poll(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.take(&data),
                    Err(_) => Ok(()),
                },
                Some(Err(error)) => Err(error.into()),
                None => {
                    // What is left is half an event, which no client may read (and none was cut).
                    self.ended = true;
                    Ok(())
                }
            };
            if let Err(error) = step {
                self.ended = true;
                return Poll::Ready(Some(Err(error)));
            }
        }
    }

    fn take(&mut self, data: &[u8]) -> Result<(), BodyError> {
        for event in self.splitter.push(data)? {
            let cut = match event.data() {
                Some(message) => self.filter.apply(message.as_ref())?,
                None => None,
            };
            self.out.push_back(match cut {
                Some(message) => Bytes::from(event.with_data(&message)),
                None => Bytes::from(event.into_bytes()),
            });
        }
        Ok(())
    }
}

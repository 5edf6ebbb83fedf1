//! The result of an approved call that is too large for the stream which answers it: the stream ends with a
//! text that says so, and the same call, sent again, gets the result.
//!
//! The call was made and is not made again. What has arrived of the result is kept, and the rest stays with
//! the upstream, which waits. Nothing here decides: the repeated call has been permitted.

use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use thoughtgate_approval::digest;
use thoughtgate_mcp::{Envelope, Era, JsonText, Kind, Renumber};
use tokio::sync::{mpsc, oneshot};

use super::fields::{Fields, user};
use super::made::{CROWDED_OUT, LATE, Made, STOPPING};
use super::parked::{Collector, Kept, Key, Place};
use super::pieces::{Gone, Piece, fail, fed, next, send};
use super::stream::Large;
use crate::audit::Trail;
use crate::body::Body;
use crate::message::{Message, Raw};
use crate::problem::Problem;
use crate::state::{Shared, Snapshot};
use crate::{answer, contained};

/// Bytes of what was read that are sent at once.
const PIECE_BYTES: usize = 64 * 1024;

impl Made {
    /// Keeps the result; returns the message that ends the stream.
    pub fn park(self, large: Large) -> Vec<u8> {
        let shared = Arc::clone(&self.worker.shared);
        let id = self.id.as_ref().map(Raw::get);
        // Its client could not come back to this process.
        if shared.drain.has_started() {
            return Problem::NotKept.body(id);
        }
        let problem = Problem::Kept(Kept {
            approval: self.approval,
            time: self.kept_for,
        });
        let message = self.message(&problem);
        let (place, collected) = self.wait(answer::json_head(large.status));
        self.log("is too large for an event, and is kept until the call is sent again");
        contained::spawn(self.keep(place, collected, large));
        message
    }

    async fn keep(self, place: Place, collected: oneshot::Receiver<Collector>, large: Large) {
        match self.collector(place, collected).await {
            Ok(Collector { id, pieces }) => {
                self.log("is collected");
                fed(&pieces, Box::pin(deliver(large, &id, &pieces))).await;
            }
            Err(why) => self.lost(why),
        }
    }

    /// The call that collects the result, or the reason why none can any more.
    async fn collector(
        &self,
        place: Place,
        mut collected: oneshot::Receiver<Collector>,
    ) -> Result<Collector, &'static str> {
        let mut draining = self.worker.shared.drain.watch();
        let unsettled = self.unsettled();
        let ended = tokio::select! {
            biased;
            collector = &mut collected => Ok(collector),
            () = tokio::time::sleep(self.kept_for) => Err(LATE),
            _ = draining.wait_for(|draining| *draining) => Err(STOPPING),
        };
        unsettled.settled();
        match ended {
            Ok(collector) => return collector.map_err(|_| CROWDED_OUT),
            Err(why) if place.leave() => return Err(why),
            Err(_) => {}
        }
        // Taken at this moment, by a call that is about to say so.
        collected.await.map_err(|_| CROWDED_OUT)
    }
}

/// Sends the result with the id of the call that collects it.
async fn deliver(large: Large, id: &Raw, pieces: &mpsc::Sender<Piece>) -> Result<(), Gone> {
    let Large {
        read,
        room,
        mut rest,
        ..
    } = large;
    let mut renumber = Renumber::new(id.get());
    let mut renumbered = |piece: &[u8]| Bytes::from(renumber.piece(piece));
    for piece in read.chunks(PIECE_BYTES) {
        send(pieces, renumbered(piece)).await?;
    }
    drop((read, room));
    loop {
        match next(pieces, &mut rest).await? {
            Some(Ok(piece)) => send(pieces, renumbered(&piece)).await?,
            Some(Err(error)) => return fail(pieces, error).await,
            None => return Ok(()),
        }
    }
}

/// Whether a result waits for the call in `envelope` by `agent`. To be asked only if any waits: it digests
/// the arguments.
#[cold]
pub fn awaits(shared: &Shared, envelope: &Envelope<'_>, era: Era, agent: &str) -> bool {
    let params = &envelope.params;
    let tool = params.name.as_deref().unwrap_or_default();
    envelope.kind == Kind::Request
        && envelope.method == "tools/call"
        && shared.parked.has(Key {
            digest: digest(agent, tool, params.arguments.map(JsonText::raw)),
            era,
        })
}

/// Answers a permitted call with the result that waits for it, if there is one.
pub fn collect(
    shared: &Shared,
    snapshot: &Snapshot,
    message: &Message,
    fields: &Fields,
    trail: Option<&mut Trail<'_>>,
) -> Option<Response<Body>> {
    if !shared.parked.any() {
        return None;
    }
    let (key, id) = fields.repeated(message)?;
    // First: to identify the user, a token is verified again.
    if !shared.parked.has(key) {
        return None;
    }
    let user = user(snapshot, shared.approvals()?, message);
    let found = shared.parked.take(key, user)?;
    let (pieces, received) = mpsc::channel(1);
    // Fails only if a bug has ended the task that keeps the result.
    found.collector.send(Collector { id, pieces }).ok()?;
    if let Some(trail) = trail {
        trail.collected(found.approval);
    }
    Some(found.head.map(|()| Body::fed(received)))
}

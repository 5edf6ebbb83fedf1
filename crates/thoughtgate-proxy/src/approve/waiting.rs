//! A call that waits for approval: how long, and what follows.
//!
//! Once a human has approved it, the policies in force are evaluated again; then the approval is used
//! up, on disk, before a byte goes to the upstream. Does not depend on how the client is answered.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::request::Parts;
use thoughtgate_approval::{Approvals, Claim, Digest, Id, State, View};
use thoughtgate_mcp::codes;
use thoughtgate_policy::{Decision, Outcome};

use super::denial::Denial;
use super::holds::Hold;
use crate::body::Body;
use crate::decide::{decide, target};
use crate::headers::ask_for_identity;
use crate::message::{Call, read};
use crate::problem::Problem;
use crate::state::{Shared, Snapshot};
use crate::worker::Worker;
use crate::{answer, forward};

/// One call and the approval that it waits for.
pub struct Waiting {
    pub worker: Arc<Worker>,
    pub approvals: Approvals,
    pub parts: Box<Parts>,
    /// Body for the upstream, without this proxy's request state.
    pub bytes: Bytes,
    pub call: Call,
    pub id: Id,
    pub digest: Digest,
    /// Its place among the held calls, if it is held.
    pub hold: Option<Hold>,
}

impl Waiting {
    /// The approval once it is decided, `at_most` has passed or the process is stopping. `None` if it is
    /// no longer kept. Cancel safe.
    pub async fn decided(&self, at_most: Duration) -> Option<View> {
        let principal = &self.call.principal;
        let mut draining = self.worker.shared.drain.watch();
        tokio::select! {
            view = self.approvals.wait(self.id, principal, at_most) => view,
            _ = draining.wait_for(|draining| *draining) => self.approvals.find(self.id, principal),
        }
    }

    /// Makes the call if it may be made, and passes the answer on; otherwise answers with the reason.
    pub async fn carry_out(mut self) -> Response<Body> {
        // From here on it waits for the upstream like any other call, not for a human.
        self.hold = None;
        let principal = &self.call.principal;
        let settled = settle(&self.worker, &self.bytes, self.id, principal, &self.digest).await;
        let (snapshot, claim) = match settled {
            Ok(settled) => settled,
            Err(denial) => return ended(&self.worker.shared, &self.bytes, self.id, &denial),
        };
        // The answer may have to be wrapped in an event, so it must not be compressed.
        ask_for_identity(&mut self.parts.headers);
        let (worker, rules, call) = (&self.worker, &snapshot.rules, &self.call);
        match forward::exchange(worker, rules, self.parts, self.bytes.clone(), call).await {
            Ok(head) => {
                claim.complete(None).await;
                forward::pass_on(worker, rules, head, call, &self.bytes)
                    .await
                    .unwrap_or_else(|failed| forward::failure(worker, &self.bytes, call, &failed))
            }
            Err(failed) => {
                claim.fail(&failed.to_string());
                forward::failure(worker, &self.bytes, call, &failed)
            }
        }
    }
}

/// Claims the right to make an approved call, if the policies in force still permit it. The call is to
/// be made under the returned snapshot.
pub async fn settle(
    worker: &Worker,
    message: &[u8],
    id: Id,
    principal: &str,
    digest: &Digest,
) -> Result<(Arc<Snapshot>, Claim), Denial> {
    let forgotten = || {
        Denial::new(
            codes::APPROVAL_EXPIRED,
            "the approval is no longer known to this proxy",
        )
    };
    let approvals = worker.shared.approvals().ok_or_else(forgotten)?;
    // Before the policies are evaluated: this may take a while, and their decision must be the last.
    let confirmed = approvals.confirm(id, principal).await;
    let view = approvals.find(id, principal).ok_or_else(forgotten)?;
    if view.state != State::Approved {
        return Err(Denial::of(&view));
    }
    confirmed.map_err(|error| Denial::unclaimed(&error))?;
    let snapshot = worker.shared.snapshot();
    let envelope = read(message).ok_or_else(forgotten)?;
    let target = target(&envelope);
    let decision = decide(&snapshot, principal, &target, envelope.params.arguments);
    if decision.outcome == Outcome::Reject {
        approvals.revoke(id, principal, &refusal(&decision));
        return Err(approvals
            .find(id, principal)
            .map_or_else(forgotten, |view| Denial::of(&view)));
    }
    match approvals.claim(id, principal, digest).await {
        Ok(claim) => Ok((snapshot, claim)),
        Err(error) => Err(Denial::unclaimed(&error)),
    }
}

/// Reason for revoking an approval when the policies refuse its call.
pub fn refusal(decision: &Decision) -> String {
    match &decision.error {
        Some(error) => format!("the policies no longer permit the call: {error}"),
        None => "the policies no longer permit the call".to_owned(),
    }
}

/// The error that answers `message` when its call is not made; its data has the approval's id and state.
pub fn ended(shared: &Shared, message: &[u8], id: Id, denial: &Denial) -> Response<Body> {
    let own = read(message).and_then(|envelope| envelope.id);
    answer::problem(shared, &Problem::Denied(id, denial), own)
}

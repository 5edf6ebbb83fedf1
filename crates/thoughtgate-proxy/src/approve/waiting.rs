//! A call that waits for a human: until when, and what becomes of it then.
//!
//! The policies in force are asked again once a human has said yes; then the approval is used up,
//! on disk, before a byte goes to the upstream. Knows nothing of how the client is answered.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::request::Parts;
use serde_json::{Value, json};
use thoughtgate_approval::{Approvals, Claim, ClaimError, Digest, Id, State, View};
use thoughtgate_mcp::codes;
use thoughtgate_policy::{Decision, Outcome};

use super::holds::Hold;
use super::{ended, read};
use crate::body::Body;
use crate::endpoint::{self, Worker};
use crate::forward::{self, Call};
use crate::headers::ask_for_identity;
use crate::state::Snapshot;

/// One call and the approval that it waits for.
pub struct Waiting {
    pub worker: Arc<Worker>,
    pub approvals: Approvals,
    /// The request's head.
    pub parts: Box<Parts>,
    /// What goes to the upstream: without a request state of ours.
    pub bytes: Bytes,
    pub call: Call,
    pub id: Id,
    pub digest: Digest,
    /// Its place among the calls that are held, if it is held.
    pub hold: Option<Hold>,
}

/// Why a call was not made, for its agent.
pub struct End {
    /// One of [`codes`].
    pub code: i64,
    /// One sentence.
    pub text: String,
    /// Whether the approval stays and may be used later.
    pub passes: bool,
    state: Option<State>,
}

impl Waiting {
    /// What the approval is once it is decided, `at_most` is over or the process is stopping.
    /// `None` when it was forgotten. Cancel safe.
    pub async fn decided(&self, at_most: Duration) -> Option<View> {
        let principal = &self.call.principal;
        let mut draining = self.worker.shared.draining();
        tokio::select! {
            view = self.approvals.wait(self.id, principal, at_most) => view,
            _ = draining.wait_for(|draining| *draining) => self.approvals.find(self.id, principal),
        }
    }

    /// Makes the call if it may be made, and passes the answer on; says why not otherwise.
    pub async fn carry_out(mut self) -> Response<Body> {
        // From here on it waits for the upstream like any other call.
        self.hold = None;
        let principal = &self.call.principal;
        let settled = settle(&self.worker, &self.bytes, self.id, principal, &self.digest).await;
        let (snapshot, claim) = match settled {
            Ok(settled) => settled,
            Err(end) => return ended(&self.bytes, self.id, &end),
        };
        // The answer may have to become an event.
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

    /// Takes the request back when dropped: the client went away, which in this era means that.
    pub fn withdrawn_on_drop(&self) -> Withdrawal {
        Withdrawal {
            approvals: self.approvals.clone(),
            id: self.id,
            principal: self.call.principal.clone(),
            armed: true,
        }
    }
}

/// Cancels an approval when dropped, unless it was kept.
pub struct Withdrawal {
    approvals: Approvals,
    id: Id,
    principal: String,
    armed: bool,
}

impl Withdrawal {
    /// The approval stays.
    pub fn keep(mut self) {
        self.armed = false;
    }
}

impl Drop for Withdrawal {
    fn drop(&mut self) {
        if self.armed {
            self.approvals.cancel(self.id, &self.principal);
        }
    }
}

/// The right to make an approved call, under policies that still let it through; what is in force
/// then is what the call is made by.
pub async fn settle(
    worker: &Worker,
    message: &[u8],
    id: Id,
    principal: &str,
    digest: &Digest,
) -> Result<(Arc<Snapshot>, Claim), End> {
    let forgotten = || {
        End::new(
            codes::APPROVAL_EXPIRED,
            "the approval is not known any more",
        )
    };
    let approvals = worker.shared.approvals().ok_or_else(forgotten)?;
    // Before the policies are asked: this may take a while, and theirs must be the last word.
    let confirmed = approvals.confirm(id, principal).await;
    let view = approvals.find(id, principal).ok_or_else(forgotten)?;
    if view.state != State::Approved {
        return Err(End::of(&view));
    }
    confirmed.map_err(|error| End::unclaimed(&error))?;
    let snapshot = worker.shared.snapshot();
    let envelope = read(message).ok_or_else(forgotten)?;
    let target = endpoint::target(&envelope);
    let decision = endpoint::decide(&snapshot, principal, &target, &envelope);
    if decision.outcome == Outcome::Reject {
        approvals.revoke(id, principal, &refusal(&decision));
        return Err(approvals
            .find(id, principal)
            .map_or_else(forgotten, |view| End::of(&view)));
    }
    match approvals.claim(id, principal, digest).await {
        Ok(claim) => Ok((snapshot, claim)),
        Err(error) => Err(End::unclaimed(&error)),
    }
}

/// Why the policies refuse a call that a human approved.
pub fn refusal(decision: &Decision) -> String {
    match &decision.error {
        Some(error) => format!("the policies refuse it now: {error}"),
        None => "the policies refuse it now".to_owned(),
    }
}

impl End {
    fn new(code: i64, text: &str) -> End {
        End {
            code,
            text: text.to_owned(),
            passes: false,
            state: None,
        }
    }

    /// What an approval that is not approved means for its call.
    pub fn of(view: &View) -> End {
        let code = match view.state {
            State::Rejected => codes::APPROVAL_REJECTED,
            State::Expired => codes::APPROVAL_EXPIRED,
            State::Cancelled => codes::APPROVAL_CANCELLED,
            State::Unavailable => codes::APPROVAL_UNAVAILABLE,
            State::Pending | State::Approved => return End::stopping(view),
            State::Executing | State::Done | State::Failed => codes::APPROVAL_USED,
        };
        let text = match view.state {
            State::Executing | State::Done => format!(
                "{}; an approval is good for one call, and this one was used",
                view.explain()
            ),
            _ => view.explain(),
        };
        End {
            code,
            text,
            passes: false,
            state: Some(view.state),
        }
    }

    /// The proxy stops while the approval goes on.
    pub fn stopping(view: &View) -> End {
        End {
            code: codes::DRAINING,
            text: format!("{}; the proxy is stopping, ask again", view.explain()),
            passes: false,
            state: Some(view.state),
        }
    }

    /// The client cancelled a call that was held.
    pub fn taken_back() -> End {
        End::new(
            codes::APPROVAL_CANCELLED,
            "the call was cancelled and is not made; the same call sent again joins its approval",
        )
    }

    fn unclaimed(error: &ClaimError) -> End {
        let code = match error {
            ClaimError::Rejected => codes::APPROVAL_REJECTED,
            ClaimError::Cancelled => codes::APPROVAL_CANCELLED,
            ClaimError::AlreadyExecuted => codes::APPROVAL_USED,
            ClaimError::Unavailable | ClaimError::Store(_) | ClaimError::Unconfirmed(_) => {
                codes::APPROVAL_UNAVAILABLE
            }
            _ => codes::APPROVAL_EXPIRED,
        };
        End {
            passes: matches!(error, ClaimError::Unconfirmed(_)),
            ..End::new(code, &error.to_string())
        }
    }

    /// For programs: which approval it was, and where it stands.
    pub fn data(&self, id: Id) -> Value {
        json!({ "approval": id.to_string(), "state": self.state.map(State::name) })
    }
}

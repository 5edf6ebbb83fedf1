//! A call that waits for approval: how long, and what follows.
//!
//! Once a human has approved it, the policies in force are evaluated again; then the approval is used
//! up, on disk, before a byte goes to the upstream. Does not depend on how the client is answered.

use std::sync::Arc;
use std::time::Duration;

use http::Response;
use thoughtgate_approval::{Approvals, Caller, Claim, Digest, Id, State, UserDigest, View};
use thoughtgate_mcp::{Era, codes};
use thoughtgate_policy::{Decision, Outcome, Principal, Target};
use tokio::time::Instant;

use super::denial::Denial;
use super::execution::{Entered, Execution, answered, make};
use super::fields::Fields;
use super::holds::Hold;
use super::made::Made;
use super::parked::Key;
use crate::answer;
use crate::body::Body;
use crate::decide::decide;
use crate::headers::ask_for_identity;
use crate::message::{Message, Raw};
use crate::problem::Problem;
use crate::state::Snapshot;
use crate::worker::Worker;

/// Least time for a call that is made at the end of its client's wait: most are quicker, and the client need
/// not come back.
const QUICK: Duration = Duration::from_secs(1);

/// One call and the approval that it waits for.
pub struct Waiting {
    pub worker: Arc<Worker>,
    pub approvals: Approvals,
    /// Its presence. Dropped with it if the client goes away, which may withdraw the approval.
    pub caller: Caller,
    /// The call, without this proxy's request state.
    pub message: Message,
    pub fields: Box<Fields>,
    pub id: Id,
    pub digest: Digest,
    /// User who sent it, by the token as it was verified then: it may expire while the call waits.
    pub user: UserDigest,
    /// Its place among the held calls, if it is held.
    pub hold: Option<Hold>,
}

/// End of the time for which a call is held.
pub enum Held {
    /// No decision yet: the time is over, or the process is stopping.
    Pending(Box<View>),
    /// There is a decision, or none can come any more.
    Decided,
    /// The client cancelled the call.
    Cancelled,
}

impl Waiting {
    /// Waits for the decision for `at_most`, or until the client cancels the call. Cancel safe.
    pub async fn held(&self, at_most: Duration) -> Held {
        // The upstream has not seen the call, so this proxy has to match a cancellation with it. Once it is
        // no longer held, a cancellation goes to the upstream, which may have the call.
        let entry = self.worker.shared.held.enter(&self.message);
        tokio::select! {
            view = self.decided(at_most) => match view {
                Some(view) if view.state == State::Pending => Held::Pending(Box::new(view)),
                _ => Held::Decided,
            },
            () = entry.cancelled() => Held::Cancelled,
        }
    }

    /// The approval once it is decided, `at_most` has passed or the process is stopping. `None` if it is
    /// no longer kept. Cancel safe.
    async fn decided(&self, at_most: Duration) -> Option<View> {
        let principal = &self.message.principal;
        let mut draining = self.worker.shared.drain.watch();
        tokio::select! {
            view = self.approvals.wait(self.id, principal, at_most) => view,
            _ = draining.wait_for(|draining| *draining) => self.approvals.find(self.id, principal),
        }
    }

    /// The call, for those who ask for it again.
    pub fn made(&self) -> Made {
        let key = Key {
            digest: self.digest,
            era: self.message.era,
        };
        Made::new(
            &self.worker,
            &self.approvals,
            (&self.message, &self.fields),
            (key, self.user),
            self.id,
        )
    }

    /// Makes the call if it may be made, and passes the answer on; otherwise answers with the reason. A call
    /// of the session era that is not finished by `until` is left to itself, and its client told to come back.
    pub async fn carry_out(mut self, until: Option<Instant>) -> Response<Body> {
        // From here on it waits for the upstream like any other call, not for a human.
        self.hold = None;
        let made = self.made();
        let until = until.map(|until| until.max(Instant::now() + QUICK));
        // In that era a client that goes away does not end its call, and can come back for the result. Before
        // the approval is used: an equal call must find this one from here on, and never ask again.
        let entered = match self.message.era {
            Era::Legacy => Execution::enter(&made),
            Era::Modern => Entered::Full,
        };
        let execution = match entered {
            // An equal call that waited for the same approval was faster.
            Entered::Joined(ticket) => return answered(&made, ticket, until).await.0,
            Entered::New(execution, ticket) => Some((execution, ticket)),
            Entered::Full => None,
        };
        let asker = self.message.asker();
        let settled = settle(&self.worker, asker, &self.fields, self.id, &self.digest).await;
        let (snapshot, claim) = match settled {
            Ok(settled) => settled,
            Err(denial) => {
                if let Some((execution, _)) = execution {
                    execution.refused(&denial);
                }
                return self.ended(&denial);
            }
        };
        // The answer may have to be wrapped in an event, so it must not be compressed.
        ask_for_identity(&mut self.message.parts.headers);
        match execution {
            Some((execution, ticket)) => {
                execution.start(snapshot, self.message, claim);
                answered(&made, ticket, until).await.0
            }
            None => make(&self.worker, &snapshot, &mut self.message, claim).await,
        }
    }

    /// Ends a call that its client cancelled. Up to 2025-11-25 the approval remains: clients cancel what
    /// takes too long for them, and a human takes longer.
    pub fn cancelled(mut self) -> Response<Body> {
        self.caller.cancel();
        let view = self.approvals.find(self.id, &self.message.principal);
        let denial = match view {
            Some(view) if !matches!(view.state, State::Pending | State::Approved) => {
                Denial::of(&view)
            }
            _ => Denial::taken_back(),
        };
        self.ended(&denial)
    }

    /// The answer to the call when it is not made.
    pub fn ended(&self, denial: &Denial) -> Response<Body> {
        // A caller that has gone away does not come here.
        if denial.is_end() {
            self.approvals.told(self.id);
        }
        let shared = &self.worker.shared;
        let snapshot = shared.snapshot();
        let call = self.fields.call(&snapshot, &self.message);
        let problem = Problem::Denied(self.id, denial);
        answer::refused(shared, &problem, self.message.id(), call.as_ref())
    }
}

/// Claims the right to make an approved call, if the policies in force still permit it. The call is to
/// be made under the returned snapshot.
pub async fn settle(
    worker: &Worker,
    asker: Principal<'_>,
    fields: &Fields,
    id: Id,
    digest: &Digest,
) -> Result<(Arc<Snapshot>, Claim), Denial> {
    let principal = asker.id;
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
    let snapshot = worker.shared.snapshot();
    let arguments = fields.arguments.as_ref().map(Raw::get);
    let tool = Target::Tool(&fields.tool);
    let decide = || decide(&snapshot, asker, &tool, arguments.map(Into::into));
    // The state first: an approval that has ended says more than votes that could not be read.
    if view.state != State::Approved {
        let denial = Denial::of(&view);
        // Ended by the policies, for another call that had joined it: which they are is found again.
        return Err(if view.is_revoked() {
            denial.because_of(&decide())
        } else {
            denial
        });
    }
    confirmed.map_err(|error| Denial::unclaimed(&error, &view))?;
    let decision = decide();
    // `Forward` does as well: policies that no longer ask for an approval permit the call all the same.
    if decision.outcome == Outcome::Reject {
        approvals.revoke(id, principal, &refusal(&decision));
        // It may have ended in another way just before: then that is the reason.
        let view = approvals.find(id, principal).ok_or_else(forgotten)?;
        return Err(Denial::of(&view).because_of(&decision));
    }
    // Given in another channel, by people who were not asked for this: the call has to be sent again.
    if let Outcome::Approve { channel } = &decision.outcome
        && !approvals.is_asked_in(id, principal, channel.as_deref())
    {
        approvals.supersede(id, principal);
        let view = approvals.find(id, principal).ok_or_else(forgotten)?;
        return Err(Denial::of(&view));
    }
    match approvals.claim(id, principal, digest).await {
        Ok(claim) => Ok((snapshot, claim)),
        Err(error) => Err(Denial::unclaimed(&error, &view)),
    }
}

/// Reason for revoking an approval when the policies refuse its call.
pub fn refusal(decision: &Decision) -> String {
    match &decision.error {
        Some(error) => format!("the policies no longer permit the call: {error}"),
        None => "the policies no longer permit the call".to_owned(),
    }
}

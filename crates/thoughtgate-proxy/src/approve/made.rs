//! The facts about an approved call that are needed once it is made, for its result and for those who ask for
//! it again.

use std::sync::Arc;
use std::time::Duration;

use http::Response;
use thoughtgate_approval::{Approvals, Id, UserDigest};
use tokio::sync::oneshot;

use super::fields::Fields;
use super::parked::{Collector, Found, Key, Place};
use crate::body::Body;
use crate::message::{Message, Raw};
use crate::problem::{Call, Problem};
use crate::worker::Worker;
use crate::{answer, logged};

/// A result whose client cannot come back to this process.
pub const STOPPING: &str = "is lost: the proxy is stopping";
/// A result that was dropped from [`super::parked`].
pub const CROWDED_OUT: &str = "is lost: later ones needed its place";
/// A result that nobody has collected.
pub const LATE: &str = "is lost: the call was not sent again in time";

/// Logs that a result is lost, unless something else becomes of it first: a stop drops the task that keeps it.
pub struct Unsettled<'m>(Option<&'m Made>);

/// An approved call.
#[derive(Clone)]
pub struct Made {
    pub worker: Arc<Worker>,
    pub agent: String,
    pub tool: Box<str>,
    pub key: Key,
    /// The user whose credentials it is made with.
    pub user: UserDigest,
    pub approval: Id,
    /// The id of the request.
    pub id: Option<Raw>,
    /// Time for which a result waits for its client.
    pub kept_for: Duration,
}

impl Made {
    /// The call of `message`, with this approval.
    pub fn new(
        worker: &Arc<Worker>,
        approvals: &Approvals,
        (message, fields): (&Message, &Fields),
        (key, user): (Key, UserDigest),
        approval: Id,
    ) -> Made {
        Made {
            worker: Arc::clone(worker),
            agent: message.principal.clone(),
            tool: fields.tool.clone(),
            key,
            user,
            approval,
            id: message.id.clone(),
            // The client knows this time: it is the one within which it sends any approved call again.
            kept_for: approvals.approved_for(),
        }
    }

    /// The message that reports `problem` in place of its result.
    pub fn message(&self, problem: &Problem<'_>) -> Vec<u8> {
        let snapshot = self.worker.shared.snapshot();
        let call = Call::decided(&snapshot, &self.tool, &self.agent, self.key.era);
        problem.body_for(self.id.as_ref().map(Raw::get), Some(&call))
    }

    /// The response that reports `problem` in place of its result.
    pub fn response(&self, problem: &Problem<'_>) -> Response<Body> {
        let snapshot = self.worker.shared.snapshot();
        let call = Call::decided(&snapshot, &self.tool, &self.agent, self.key.era);
        let id = self.id.as_ref().map(Raw::get);
        answer::refused(&self.worker.shared, problem, id, Some(&call))
    }

    /// Puts its result, which begins with `head`, on the list of those that wait for a call. The receiver gets
    /// that call, or an error once the result has lost its place.
    pub fn wait(&self, head: Response<()>) -> (Place, oneshot::Receiver<Collector>) {
        let (collector, collected) = oneshot::channel();
        let found = Found {
            approval: self.approval,
            user: self.user,
            head,
            collector,
        };
        let parked = &self.worker.shared.parked;
        (parked.enter(self.key, &self.agent, found), collected)
    }

    /// Logs what becomes of its result.
    pub fn log(&self, event: &str) {
        logged::result(self.approval, &self.agent, &self.tool, event);
    }

    /// Logs that its result is lost, once: the execution of the call and the stream that answers it may both
    /// hold a part of the result.
    pub fn lost(&self, why: &str) {
        let running = &self.worker.shared.running;
        if running.lose(self.approval, self.user) {
            self.log(why);
        }
    }

    /// To be held while its result waits.
    pub fn unsettled(&self) -> Unsettled<'_> {
        Unsettled(Some(self))
    }
}

impl Unsettled<'_> {
    /// The result is collected, or its loss has a reason that is logged.
    pub fn settled(mut self) {
        self.0 = None;
    }
}

impl Drop for Unsettled<'_> {
    fn drop(&mut self) {
        if let Some(made) = self.0 {
            made.lost(STOPPING);
        }
    }
}

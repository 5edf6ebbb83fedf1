//! The output of [`Engine::decide`](crate::Engine::decide): a verdict with its reasons.
//!
//! Only data; `residual.rs` decides.

use std::sync::Arc;

/// A decision and its reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The verdict on the request.
    pub outcome: Outcome,
    /// Ids of the policies that determined the outcome, or whose evaluation failed, sorted; empty if no policy
    /// permits the request, or the error is of none of them.
    pub policies: Arc<[Arc<str>]>,
    /// The reason why the request could not be decided; the outcome is then [`Outcome::Reject`].
    pub error: Option<Arc<str>>,
    /// The argument that is the reason of `error`, as a path below `context.arguments`, such as `a.b`.
    pub argument: Option<Arc<str>>,
}

/// The verdict on a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Forward it to the upstream.
    Forward,
    /// Refuse it.
    Reject,
    /// Ask an approver before forwarding it.
    Approve {
        /// The channel of `@approve("…")`; `None` for the configured one.
        channel: Option<Arc<str>>,
    },
}

impl Decision {
    /// The refusal of a request that could not be decided.
    #[must_use]
    pub fn error(reason: &str) -> Decision {
        Decision {
            outcome: Outcome::Reject,
            policies: Arc::new([]),
            error: Some(Arc::from(reason)),
            argument: None,
        }
    }
}

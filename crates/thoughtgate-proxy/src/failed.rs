//! The reasons why there is no answer of the upstream to pass on.
//!
//! Only the error; [`crate::forward`] and [`crate::listing`] find it, `problem.rs` says how it is answered.

use crate::budget::Spent;
use crate::listing::Unfiltered;
use crate::upstream::UpstreamError;

/// Reason why there is no answer to pass on.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    #[error("the upstream did not answer within `timeouts.response`")]
    Timeout,
    /// A list that cannot be filtered is not passed on.
    #[error("the upstream's answer to tools/list cannot be filtered: {0}")]
    List(Unfiltered),
    /// No room to hold a list.
    #[error(transparent)]
    Spent(#[from] Spent),
}

//! Approvals from request to outcome, against a double of Slack on a real port, with real files.
//! Asserts what happens, never how fast.

mod callers;
mod decisions;
mod hostile;
mod lifecycle;
mod limits;
mod polling;
mod posting;
mod restart;
mod revoking;
mod set_up;
mod store;
mod support;

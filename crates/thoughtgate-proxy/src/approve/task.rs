//! An approval as an MCP task, in the format of either era.
//!
//! In 2025-11-25 the result is separate from the task, in 2026-07-28 a part of it. Only reads approvals.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use thoughtgate_approval::{Approvals, State, View};
use thoughtgate_mcp::{Era, reply, tasks};

use super::deferred::Outcome;
use super::denial::Denial;
use super::timestamp::timestamp;
use crate::problem::{Call, Refused};
use crate::state::Shared;

/// Interval at which clients are asked to poll a task; a human takes longer than that.
const POLL_INTERVAL_MS: u64 = 2000;

/// A task in the format of either era.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    #[serde(skip_serializing_if = "Option::is_none")]
    result_type: Option<&'static str>,
    #[serde(rename = "taskId")]
    id: String,
    status: &'static str,
    status_message: String,
    created_at: String,
    last_updated_at: String,
    #[serde(flatten)]
    times: Times,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Box<RawValue>>,
}

#[derive(Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
enum Times {
    Legacy { ttl: u64, poll_interval: u64 },
    Modern { ttl_ms: u64, poll_interval_ms: u64 },
}

/// Outcome of a task's call; `None` while the task is open.
pub fn end(
    shared: &Shared,
    approvals: &Approvals,
    view: &View,
    principal: &str,
    era: Era,
) -> Option<Outcome> {
    if view.state.is_open() {
        return None;
    }
    let kept = approvals.result(view.id, principal);
    // This proxy has written it; one that cannot be read counts as lost.
    let kept = kept.and_then(|kept| serde_json::from_slice::<Outcome>(&kept).ok());
    // Without a stored outcome the call was not made, or its answer was lost: the state says why.
    Some(kept.unwrap_or_else(|| {
        let denial = Denial::of(view);
        // A call that was made and has no outcome was not refused: that is a fault of the upstream.
        let was_made = matches!(view.state, State::Done | State::Failed);
        let snapshot = shared.snapshot();
        let call = Call::decided(&snapshot, &view.tool, principal, era);
        let refused = Refused::denied(view.id, &denial);
        if !was_made && call.takes_result() {
            let result = refused.result(&call);
            let raw = to_raw_value(&result).expect("text and numbers always serialise");
            return Outcome::Result(raw);
        }
        let data = if was_made {
            denial.data(view.id)
        } else {
            refused.facts(&call)
        };
        let fault = reply::Fault {
            code: denial.code,
            message: &denial.text,
            data: Some(&data),
        };
        Outcome::Error(to_raw_value(&fault).expect("text and numbers always serialise"))
    }))
}

impl Task {
    /// State of `principal`'s task, and its outcome if it has ended.
    pub fn of(
        shared: &Shared,
        approvals: &Approvals,
        view: &View,
        principal: &str,
        era: Era,
    ) -> Task {
        let (status, result, error) = match end(shared, approvals, view, principal, era) {
            None => ("working", None, None),
            Some(_) if view.state == State::Cancelled => ("cancelled", None, None),
            Some(Outcome::Error(error)) => ("failed", None, Some(error)),
            // Only 2025-11-25 counts a tool's own error as a failure of the task.
            Some(Outcome::Result(result))
                if era == Era::Legacy && tasks::is_tool_error(&result) =>
            {
                ("failed", Some(result), None)
            }
            Some(Outcome::Result(result)) => ("completed", Some(result), None),
        };
        let ttl = u64::try_from(approvals.life().as_millis()).unwrap_or(u64::MAX);
        Task {
            result_type: (era == Era::Modern).then_some("complete"),
            id: view.id.to_string(),
            status,
            status_message: view.explain(),
            created_at: timestamp(view.created_ms),
            last_updated_at: timestamp(view.updated_ms),
            times: match era {
                Era::Legacy => Times::Legacy {
                    ttl,
                    poll_interval: POLL_INTERVAL_MS,
                },
                Era::Modern => Times::Modern {
                    ttl_ms: ttl,
                    poll_interval_ms: POLL_INTERVAL_MS,
                },
            },
            result,
            error,
        }
    }

    /// The task as the answer to the call that became it (2026-07-28).
    pub fn created(self) -> Task {
        Task {
            result_type: Some("task"),
            ..self
        }
    }

    /// The task without its outcome.
    pub fn bare(self) -> Task {
        Task {
            result: None,
            error: None,
            ..self
        }
    }
}

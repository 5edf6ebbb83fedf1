//! The message that approvers read, as Block Kit. Pure: a record in, JSON out. Everything that an
//! agent wrote is escaped and in code spans, cannot mention or link, and is capped at Slack's limits.
//! The message says when arguments were cut off, since the approval covers those too.

use std::fmt::Write as _;

use serde_json::{Value, json};
use thoughtgate_mcp::cut;

use super::ids::is_person_or_group;
use super::settings::SlackSettings;
use crate::record::{Record, Rendered};
use crate::state::State;
use crate::text::{escaped_blocks, inline, utc};

/// Slack takes 3000 characters per block; the rest is for the fence and the title.
const BLOCK_UNITS_MAX: usize = 2900;
/// Slack takes 2000 characters per field; ten capped names may be more.
const FIELD_BYTES_MAX: usize = 1900;
// Together 11,600 characters, slightly less than the 12,000 bytes that a request keeps.
const ARGUMENT_BLOCKS_MAX: usize = 4;
const NAME_CHARACTERS_MAX: usize = 300;
const POLICIES_MAX: usize = 10;

/// Marks this program's messages in a channel's history, together with the approval's id.
pub(super) const EVENT_TYPE: &str = "thoughtgate_approval";

/// Action ids of the buttons.
pub(super) const APPROVE_ACTION: &str = "thoughtgate_approve";
pub(super) const DENY_ACTION: &str = "thoughtgate_deny";

/// The fields that `chat.postMessage` and `chat.update` share; `channel` is up to the caller.
pub(super) fn render(record: &Record, rendered: Rendered, settings: &SlackSettings) -> Value {
    let title = title(record, rendered.state);
    let mut blocks = vec![
        json!({"type": "header", "text": {"type": "plain_text", "text": title, "emoji": false}}),
        json!({"type": "section", "fields": fields(record)}),
    ];
    blocks.extend(arguments(record));
    if rendered.state == State::Pending {
        blocks.push(context(&how(record, settings)));
    } else {
        blocks.push(section(&outcome(record, rendered.state)));
    }
    if rendered.noted {
        blocks.push(context(&note(record)));
    }
    if rendered.late {
        blocks.push(context(&late(record)));
    }
    // Without the secret a press could not be verified, so there are no buttons.
    if settings.signing_secret.is_some() {
        blocks.extend(buttons(record, rendered.state));
    }
    json!({
        "text": format!(
            "{title}: agent {} calls {}",
            inline(&record.principal, NAME_CHARACTERS_MAX),
            inline(&record.tool, NAME_CHARACTERS_MAX),
        ),
        "blocks": blocks,
        "parse": "none",
        "link_names": false,
        "unfurl_links": false,
        "unfurl_media": false,
        "metadata": {
            "event_type": EVENT_TYPE,
            "event_payload": {
                "approval_id": record.id.to_string(),
                "digest": record.digest.to_string(),
            },
        },
    })
}

fn title(record: &Record, state: State) -> &'static str {
    match state {
        State::Pending => "Approval needed",
        State::Rejected => "Rejected",
        State::Expired => "Expired",
        State::Cancelled if record.reason.is_some() => "Withdrawn",
        State::Cancelled => "Cancelled",
        State::Unavailable => "Request failed",
        State::Approved | State::Executing | State::Done | State::Failed => "Approved",
    }
}

fn fields(record: &Record) -> Vec<Value> {
    let mut policies: Vec<String> = record
        .policies
        .iter()
        .take(POLICIES_MAX)
        .map(|policy| code(policy))
        .collect();
    if record.policies.len() > POLICIES_MAX {
        policies.push(format!("and {} more", record.policies.len() - POLICIES_MAX));
    }
    let policies = if policies.is_empty() {
        "none".to_owned()
    } else {
        policies.join(", ")
    };
    vec![
        text(&format!("*Agent*\n{}", code(&record.principal))),
        text(&format!("*Tool*\n{}", code(&record.tool))),
        text(&format!("*Policies*\n{}", cut(&policies, FIELD_BYTES_MAX))),
        text(&format!("*Requested*\n{}", date(record.created_ms))),
    ]
}

fn arguments(record: &Record) -> Vec<Value> {
    let (pieces, whole) = escaped_blocks(&record.arguments, BLOCK_UNITS_MAX, ARGUMENT_BLOCKS_MAX);
    let mut blocks: Vec<Value> = pieces
        .iter()
        .enumerate()
        .map(|(index, piece)| {
            let title = if index == 0 { "*Arguments*\n" } else { "" };
            section(&format!("{title}```\n{piece}\n```"))
        })
        .collect();
    if !whole || !record.arguments_complete {
        blocks.push(section(
            "*Arguments truncated.* Approving also covers the part that is not shown.",
        ));
    }
    blocks
}

fn how(record: &Record, settings: &SlackSettings) -> String {
    let names = |names: &[String]| {
        let names: Vec<String> = names
            .iter()
            .map(|name| format!(":{}:", inline(name, 100)))
            .collect();
        names.join(" or ")
    };
    let mut text = format!(
        "React with {} to approve, with {} to deny, before {}. Approval {}, digest {}.",
        names(&settings.approve_reactions),
        names(&settings.deny_reactions),
        date(record.expires_ms),
        code(&record.id.to_string()),
        code(&record.digest.to_string()[..16]),
    );
    // The reactions come from the configuration, and may be many.
    text.truncate(cut(&text, BLOCK_UNITS_MAX).len());
    text
}

fn outcome(record: &Record, state: State) -> String {
    let by = record.decided_by.as_deref().map_or(String::new(), |by| {
        if is_person_or_group(by) {
            format!(" by <@{by}>")
        } else {
            format!(" by {}", inline(by, NAME_CHARACTERS_MAX))
        }
    });
    let mut text = match state {
        State::Rejected => format!(":no_entry: Rejected{by}"),
        State::Approved => format!(
            ":heavy_check_mark: Approved{by}, valid until {}. A denial before the call is made withdraws it",
            date(record.expires_ms)
        ),
        State::Expired if record.means.is_some() => {
            ":hourglass: Approved, but the call was not made in time".to_owned()
        }
        State::Expired => ":hourglass: Nobody decided in time".to_owned(),
        // With the reason below: nobody asked for that, its client went away.
        State::Cancelled if record.reason.is_some() => ":wastebasket: Withdrawn".to_owned(),
        State::Cancelled => ":wastebasket: Cancelled by the agent".to_owned(),
        State::Unavailable => ":warning: Request failed".to_owned(),
        _ => format!(":heavy_check_mark: Approved{by}, and used for the call"),
    };
    if let Some(reason) = record
        .reason
        .as_deref()
        .filter(|_| !matches!(state, State::Approved | State::Executing))
    {
        // Writing to a String cannot fail.
        let _ = write!(text, ": {}", inline(reason, NAME_CHARACTERS_MAX));
    }
    let _ = write!(text, " (updated {})", date(record.updated_ms));
    text
}

fn note(record: &Record) -> String {
    let people: Vec<String> = record
        .non_approvers
        .iter()
        .filter(|user| is_person_or_group(user))
        .map(|user| format!("<@{user}>"))
        .collect();
    format!(
        ":warning: Vote ignored, not an approver: {}",
        people.join(", ")
    )
}

fn late(record: &Record) -> String {
    let by = record.late_no.as_deref().unwrap_or_default();
    let by = if is_person_or_group(by) {
        format!("<@{by}>")
    } else {
        "somebody".to_owned()
    };
    format!(":warning: Too late: {by} denied the call after the approval had been used for it")
}

/// The buttons that can still change something; `None` once nothing can be decided any more.
fn buttons(record: &Record, state: State) -> Option<Value> {
    let button = |action: &str, label: &str, style: &str| {
        json!({
            "type": "button",
            "action_id": action,
            "value": record.id.to_string(),
            "style": style,
            "text": {"type": "plain_text", "text": label, "emoji": false},
        })
    };
    let elements = match state {
        State::Pending => vec![
            button(APPROVE_ACTION, "Approve", "primary"),
            button(DENY_ACTION, "Deny", "danger"),
        ],
        State::Approved => vec![button(DENY_ACTION, "Withdraw approval", "danger")],
        _ => return None,
    };
    Some(json!({"type": "actions", "elements": elements}))
}

/// Verbatim, so that Slack turns neither addresses nor names of people and channels into links.
fn text(mrkdwn: &str) -> Value {
    json!({"type": "mrkdwn", "text": mrkdwn, "verbatim": true})
}

fn section(mrkdwn: &str) -> Value {
    json!({"type": "section", "text": text(mrkdwn)})
}

fn context(mrkdwn: &str) -> Value {
    json!({"type": "context", "elements": [text(mrkdwn)]})
}

fn code(raw: &str) -> String {
    if raw.is_empty() {
        return "(empty)".to_owned();
    }
    format!("`{}`", inline(raw, NAME_CHARACTERS_MAX))
}

/// Formats a time in the reader's own time zone, or in UTC for clients that cannot do that.
fn date(ms: u64) -> String {
    format!(
        "<!date^{}^{{date_short_pretty}} {{time_secs}}|{}>",
        ms / 1000,
        utc(ms)
    )
}

#[cfg(test)]
mod tests;

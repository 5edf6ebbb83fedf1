//! Polls a channel's recent messages with their reactions: usually one call per interval, however
//! many approvals wait for a decision or for their call, and none while none waits. Does not
//! interpret the votes: see `judge.rs`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::answers::{History, One, Reaction, reactions};
use super::error::{CallError, Loss, Refusal};
use super::judge::judge;
use super::pages::{HISTORY, PAGE_LIMIT};
use super::workspace::Workspace;
use crate::backoff::{Backoff, RETRY_MAX};
use crate::cause::chain;
use crate::ids::Id;
use crate::lanes::Lane;
use crate::ledger::Ledger;
use crate::record::MessageRef;
use crate::state::State;

/// Pages of history per interval. Messages further back are read one by one.
const PAGES_MAX: usize = 6;

/// Messages that are read one by one, per interval.
const STRAGGLERS_MAX: usize = 5;

pub(super) async fn run(workspace: Arc<Workspace>, lane: Arc<Lane>) {
    let settings = &workspace.settings;
    let mut backoff = Backoff::new(settings.poll_interval.saturating_mul(2), RETRY_MAX);
    let mut round = 0;
    let mut was_refused = false;
    loop {
        if open(&workspace.ledger, &lane.channel).is_empty() {
            lane.poll.notified().await;
            continue;
        }
        let wait = if backoff.attempts() == 0 {
            settings.poll_interval
        } else {
            backoff.next()
        };
        tokio::time::sleep(wait).await;
        let polled = poll(&workspace, &lane.channel, round, was_refused).await;
        was_refused = polled.as_ref().is_err_and(CallError::is_final);
        match polled {
            Ok(()) => backoff.reset(),
            // Slack has said how long to wait, which is no reason to back off further.
            Err(CallError::Limited(wait)) => tokio::time::sleep(wait).await,
            Err(_) if backoff.attempts() == 0 => {
                // Starts the backoff, which gives the waits from now on.
                backoff.next();
            }
            Err(_) => {}
        }
        round += 1;
    }
}

/// Messages in this channel whose votes count, oldest first. Votes count until the call is made,
/// since an approval can be withdrawn.
fn open(ledger: &Ledger, channel: &str) -> Vec<(Id, MessageRef)> {
    let table = ledger.table();
    let counts = |state| matches!(state, State::Pending | State::Approved);
    let waiting = table
        .records()
        .filter(|record| counts(record.state) && record.channel == channel);
    let mut open: Vec<(Id, MessageRef)> = waiting
        .filter_map(|record| Some((record.id, record.message.clone()?)))
        .collect();
    open.sort_unstable_by_key(|(_, message)| ts_key(&message.id));
    open
}

/// Seconds and microseconds as numbers: text would sort `9.1` after `10.1`.
fn ts_key(ts: &str) -> (u64, u64) {
    let (seconds, micros) = ts.split_once('.').unwrap_or((ts, "0"));
    (seconds.parse().unwrap_or(0), micros.parse().unwrap_or(0))
}

/// `was_refused` says whether Slack has refused the poll before: one refusal may be an error of Slack's,
/// two in a row end what cannot be read.
async fn poll(
    workspace: &Workspace,
    channel: &str,
    round: usize,
    was_refused: bool,
) -> Result<(), CallError> {
    // Read again, since it may have changed while `run` slept.
    let open = open(&workspace.ledger, channel);
    if open.is_empty() {
        return Ok(());
    }
    workspace.ledger.counts.polls.add(1);
    let mut failed = Failed {
        was_refused,
        error: None,
    };
    // Messages too far back, deleted, or with more voters than a page of history lists.
    let read = match workspace.directory.listed(&workspace.client).await {
        Ok(()) => history(workspace, &open, &mut failed).await,
        Err(error) => Err(error),
    };
    let missing = match read {
        Ok(missing) => missing,
        Err(error) => {
            let reason = unreadable(&error);
            for (id, _) in &open {
                if error.is_final() && was_refused {
                    workspace.ledger.give_up(*id, &reason);
                } else {
                    workspace.ledger.trouble(*id, &reason, error.is_outage());
                }
            }
            return Err(error);
        }
    };
    // Each interval begins further on in the list, so that each message has its turn.
    let start = if missing.is_empty() {
        0
    } else {
        round * STRAGGLERS_MAX % missing.len()
    };
    for (id, message) in missing
        .iter()
        .cycle()
        .skip(start)
        .take(STRAGGLERS_MAX.min(missing.len()))
    {
        let read = straggler(workspace, *id, message).await;
        failed.note(workspace, *id, read)?;
    }
    failed.error.map_or(Ok(()), Err)
}

/// Reason for an approval whose votes Slack refuses to show.
pub(super) fn unreadable(error: &CallError) -> String {
    format!("the votes cannot be read: {}", chain(error))
}

/// An error of a poll that concerns one message, and holds up no other; rather one of Slack's refusal.
struct Failed {
    was_refused: bool,
    error: Option<CallError>,
}

impl Failed {
    /// Ends an approval whose votes cannot be judged, if waiting does not help. A rate limit ends the
    /// poll: the other messages would meet it too.
    fn note(
        &mut self,
        workspace: &Workspace,
        id: Id,
        judged: Result<(), CallError>,
    ) -> Result<(), CallError> {
        match judged {
            Ok(()) => {}
            Err(error) => {
                let reason = unreadable(&error);
                if error.is_final() && self.was_refused {
                    workspace.ledger.give_up(id, &reason);
                } else {
                    workspace.ledger.trouble(id, &reason, error.is_outage());
                }
                if matches!(error, CallError::Limited(_)) {
                    return Err(error);
                }
                if self.error.as_ref().is_none_or(|known| !known.is_final()) {
                    self.error = Some(error);
                }
            }
        }
        Ok(())
    }
}

/// Judges the messages of `open` that are complete in the channel's history; returns the others.
async fn history<'a>(
    workspace: &Workspace,
    open: &'a [(Id, MessageRef)],
    failed: &mut Failed,
) -> Result<Vec<&'a (Id, MessageRef)>, CallError> {
    let Some((_, oldest)) = open.first() else {
        return Ok(Vec::new());
    };
    let mut left: HashMap<&str, &(Id, MessageRef)> =
        open.iter().map(|one| (one.1.id.as_str(), one)).collect();
    let parameters = [
        ("channel", oldest.channel.as_str()),
        ("oldest", oldest.id.as_str()),
        ("inclusive", "true"),
        ("include_all_metadata", "true"),
        ("limit", PAGE_LIMIT),
    ];
    let client = &workspace.client;
    let mut pages = client.pages(HISTORY, &parameters, PAGES_MAX);
    loop {
        // Before the call: a vote that is given during it may be missing from the page.
        let began = Instant::now();
        let Some(answer) = pages.next().await? else {
            break;
        };
        let page: History<'_> = answer.read()?;
        for said in &page.messages {
            let Some((id, _)) = left.get(said.ts.0.as_ref()) else {
                continue;
            };
            let judged = match reactions(said.reactions) {
                Ok(reactions) if !is_complete(&reactions) => continue,
                Ok(reactions) => judge(workspace, *id, &reactions, began).await,
                Err(error) => Err(error),
            };
            failed.note(workspace, *id, judged)?;
            left.remove(said.ts.0.as_ref());
        }
        let next = page.next()?;
        if left.is_empty() {
            break;
        }
        pages.follow(next);
    }
    // In the order of `open`, which the rotation in `poll` relies on.
    let is_left = |one: &&(Id, MessageRef)| left.contains_key(one.1.id.as_str());
    Ok(open.iter().filter(is_left).collect())
}

/// Whether every reaction lists everyone who gave it: Slack shortens long lists.
fn is_complete(reactions: &[Reaction<'_>]) -> bool {
    reactions.iter().all(|reaction| {
        let named = reaction.users.len() as u64;
        reaction.count.is_none_or(|count| count <= named)
    })
}

/// Reads and judges one message by itself.
pub(super) async fn straggler(
    workspace: &Workspace,
    id: Id,
    message: &MessageRef,
) -> Result<(), CallError> {
    let began = Instant::now();
    let parameters = [
        ("channel", message.channel.as_str()),
        ("timestamp", &message.id),
        ("full", "true"),
    ];
    match workspace.client.read("reactions.get", &parameters).await {
        Ok(answer) => {
            let One { message: said } = answer.read()?;
            if said.ts.0 != message.id {
                return Err(CallError::Lost(Loss::OtherMessage));
            }
            judge(workspace, id, &reactions(said.reactions)?, began).await
        }
        Err(CallError::Refused(Refusal::Code { code, .. }))
            if code.is_one_of(&["message_not_found"]) =>
        {
            let reason = "the Slack message that asked for approval was deleted";
            // The first ends an approved call, the second one that is still pending.
            workspace.ledger.retract(id, None, reason);
            workspace.ledger.give_up(id, reason);
            Ok(())
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::RawValue;

    #[test]
    fn a_shortened_list_of_people_is_noticed() {
        let is_complete = |json: &str| {
            let raw: &RawValue = serde_json::from_str(json).unwrap();
            is_complete(&reactions(Some(raw)).unwrap())
        };
        assert!(is_complete("[]"));
        assert!(is_complete(
            r#"[{"name": "x", "users": ["U1"], "count": 1}]"#
        ));
        assert!(!is_complete(
            r#"[{"name": "x", "users": ["U1"], "count": 2}]"#
        ));
    }

    #[test]
    fn message_times_compare_as_numbers() {
        assert!(ts_key("999999999.000002") < ts_key("1000000000.000001"));
        assert!(ts_key("1.000001") < ts_key("1.000002"));
    }
}

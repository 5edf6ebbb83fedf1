//! Effect of the reactions to one message on its approval. A denial outweighs an approval, before and
//! after the decision, until the call is made. People who are not approvers are noted and do not
//! count; the bot itself never counts.

use std::collections::HashSet;
use std::time::Instant;

use super::answers::{Reaction, Text};
use super::error::CallError;
use super::ids::is_person_or_group;
use super::reaction::canonical;
use super::settings::SlackSettings;
use super::workspace::Workspace;
use crate::ids::Id;
use crate::ledger::Ledger;
use crate::record::Means;
use crate::state::State;
use crate::vote::{NON_APPROVERS_MAX, Vote};

/// Voters in the order of Slack's list, each at most once per side.
#[derive(Debug, Default, PartialEq, Eq)]
struct Votes {
    approve: Vec<String>,
    deny: Vec<String>,
}

fn votes(reactions: &[Reaction<'_>], settings: &SlackSettings, me: &str) -> Votes {
    let mut votes = Votes::default();
    let mut seen = HashSet::new();
    for reaction in reactions {
        let name = canonical(&reaction.name.0);
        let is = |names: &[String]| names.iter().any(|known| canonical(known) == name);
        let approves = match (
            is(&settings.deny_reactions),
            is(&settings.approve_reactions),
        ) {
            // Settings with a reaction of both meanings are refused; if one had both, it would deny.
            (true, _) => false,
            (false, true) => true,
            (false, false) => continue,
        };
        let side = if approves {
            &mut votes.approve
        } else {
            &mut votes.deny
        };
        for Text(user) in &reaction.users {
            if user != me && is_person_or_group(user) && seen.insert((approves, user.as_ref())) {
                side.push(user.to_string());
            }
        }
    }
    votes
}

/// State of an approval whose votes count.
enum Standing {
    Undecided,
    Approved { by: String, means: Option<Means> },
}

impl Standing {
    fn of(ledger: &Ledger, id: Id) -> Option<Self> {
        let table = ledger.table();
        let record = &table.get(id)?.record;
        match record.state {
            State::Pending => Some(Self::Undecided),
            State::Approved => Some(Self::Approved {
                by: record.decided_by.clone().unwrap_or_default(),
                means: record.means,
            }),
            _ => None,
        }
    }
}

/// Decides the approval if an approver has voted, and withdraws one that no longer holds. An error
/// changes nothing: while it is unknown whether a denial counts, no approval does. `began` is when
/// the reading of the reactions began.
pub(super) async fn judge(
    workspace: &Workspace,
    id: Id,
    reactions: &[Reaction<'_>],
    began: Instant,
) -> Result<(), CallError> {
    let Some(standing) = Standing::of(&workspace.ledger, id) else {
        return Ok(());
    };
    // Without the bot's id its own reactions count here, which only costs a lookup.
    let nothing = votes(reactions, &workspace.settings, "") == Votes::default();
    // An undecided message without votes, the usual case of a poll, needs no lookup.
    if !(nothing && matches!(standing, Standing::Undecided)) {
        let me = workspace.directory.me(&workspace.client).await?;
        weigh(
            workspace,
            id,
            &standing,
            &votes(reactions, &workspace.settings, &me.user),
        )
        .await?;
    }
    // After the votes were applied: a claim relies on what this records.
    workspace.ledger.votes_read(id, began);
    Ok(())
}

async fn weigh(
    workspace: &Workspace,
    id: Id,
    standing: &Standing,
    votes: &Votes,
) -> Result<(), CallError> {
    let ledger = &workspace.ledger;
    let vote = |by, approve| Vote {
        by,
        approve,
        means: Means::Reaction,
    };
    let mut non_approvers = Vec::new();
    // Denials first: one outweighs any number of approvals.
    if let Some(by) = first_allowed(workspace, &votes.deny, &mut non_approvers).await? {
        ledger.refuse_voters(id, &non_approvers);
        ledger.decide(id, vote(by, false));
        return Ok(());
    }
    let yes = first_allowed(workspace, &votes.approve, &mut non_approvers).await?;
    ledger.refuse_voters(id, &non_approvers);
    match standing {
        Standing::Undecided => {
            if let Some(by) = yes {
                ledger.decide(id, vote(by, true));
            }
        }
        Standing::Approved { by, means } if *means == Some(Means::Reaction) => {
            // The reaction is still there, so its author has lost the right to vote.
            if yes.is_none() && votes.approve.contains(by) {
                ledger.retract(id, None, &no_approver(by));
            } else if yes.is_none() {
                let reason = "the approval was withdrawn before the call was made";
                ledger.retract(id, Some(by), reason);
            }
        }
        // A press leaves nothing in Slack that could be removed, so only the right to vote can lapse.
        Standing::Approved { by, .. } => {
            if !workspace.directory.allows(&workspace.client, by).await? {
                ledger.retract(id, None, &no_approver(by));
            }
        }
    }
    Ok(())
}

fn no_approver(by: &str) -> String {
    format!("it was approved by {by}, who is no longer an approver")
}

/// The first approver among `users`; those before are added to `non_approvers`.
async fn first_allowed<'a>(
    workspace: &Workspace,
    users: &'a [String],
    non_approvers: &mut Vec<String>,
) -> Result<Option<&'a str>, CallError> {
    for user in users {
        if workspace.directory.allows(&workspace.client, user).await? {
            return Ok(Some(user));
        }
        if non_approvers.len() < NON_APPROVERS_MAX {
            non_approvers.push(user.clone());
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use crate::slack::answers::reactions;
    use serde_json::value::RawValue;

    #[test]
    fn votes_are_read_by_name_whatever_the_skin() {
        let settings = SlackSettings::new(Secret::new("x"), "C1");
        let raw = r#"[
            {"name": "eyes", "users": ["U1"], "count": 1},
            {"name": "+1::skin-tone-3", "users": ["U2", "UBOT", "nobody"], "count": 2},
            {"name": "white_check_mark", "users": ["U2", "U3"], "count": 2},
            {"name": "x", "users": ["U4"], "count": 1}
        ]"#;
        let raw: &RawValue = serde_json::from_str(raw).unwrap();
        let votes = votes(&reactions(Some(raw)).unwrap(), &settings, "UBOT");
        assert_eq!(votes.approve, ["U2", "U3"]);
        assert_eq!(votes.deny, ["U4"]);
        assert_eq!(super::votes(&[], &settings, "UBOT"), Votes::default());
    }
}

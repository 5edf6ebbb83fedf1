//! What the reactions to one message mean for its approval. A no beats a yes, before and after the
//! decision, until the call is made; people who may not decide are noted and do not count; the bot
//! itself never counts.

use std::collections::HashSet;
use std::time::Instant;

use super::SlackSettings;
use super::answers::{Reaction, Text};
use super::client::CallError;
use super::directory::is_person_or_group;
use crate::core::Core;
use crate::ids::Id;
use crate::record::{Means, State};
use crate::vote::{STRANGERS_MAX, Vote};

/// Who said what, in the order of Slack's list, each person once per side.
#[derive(Debug, Default, PartialEq, Eq)]
struct Votes {
    approve: Vec<String>,
    deny: Vec<String>,
}

fn votes(reactions: &[Reaction<'_>], settings: &SlackSettings, me: &str) -> Votes {
    let mut votes = Votes::default();
    let mut seen = HashSet::new();
    for reaction in reactions {
        // A skin tone changes the colour of a vote, not its meaning.
        let name = reaction.name.0.split("::").next().unwrap_or_default();
        let is = |names: &[String]| names.iter().any(|known| known == name);
        let approves = match (
            is(&settings.deny_reactions),
            is(&settings.approve_reactions),
        ) {
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

/// An approval whose votes count.
enum Standing {
    Undecided,
    Approved { by: String, means: Option<Means> },
}

impl Standing {
    fn of(core: &Core, id: Id) -> Option<Self> {
        let book = core.book();
        let record = &book.get(id)?.record;
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

/// Decides if somebody did who may, and takes a yes back that holds no longer. An error leaves
/// everything as it is: while it is unknown whether a denial counts, no approval does. `began` is
/// when the reading of the reactions began.
pub(super) async fn judge(
    core: &Core,
    id: Id,
    reactions: &[Reaction<'_>],
    began: Instant,
) -> Result<(), CallError> {
    let Some(standing) = Standing::of(core, id) else {
        return Ok(());
    };
    let desk = &core.desk;
    let nothing = votes(reactions, &desk.settings, "") == Votes::default();
    // Nearly every message at nearly every poll: nothing to look up then.
    if !(nothing && matches!(standing, Standing::Undecided)) {
        let me = desk.directory.me(&desk.client).await?;
        weigh(
            core,
            id,
            &standing,
            &votes(reactions, &desk.settings, &me.user),
        )
        .await?;
    }
    core.votes_read(id, began);
    Ok(())
}

async fn weigh(core: &Core, id: Id, standing: &Standing, votes: &Votes) -> Result<(), CallError> {
    let vote = |by, approve| Vote {
        by,
        approve,
        means: Means::Reaction,
    };
    let mut strangers = Vec::new();
    if let Some(by) = first_allowed(core, &votes.deny, &mut strangers).await? {
        core.refuse_voters(id, &strangers);
        core.decide(id, vote(by, false));
        return Ok(());
    }
    let yes = first_allowed(core, &votes.approve, &mut strangers).await?;
    core.refuse_voters(id, &strangers);
    match standing {
        Standing::Undecided => {
            if let Some(by) = yes {
                core.decide(id, vote(by, true));
            }
        }
        Standing::Approved { by, means } if *means == Some(Means::Reaction) => {
            if yes.is_none() && votes.approve.contains(by) {
                core.retract(id, None, &no_approver(by));
            } else if yes.is_none() {
                let reason = "the yes was taken back before the call was made";
                core.retract(id, Some(by), reason);
            }
        }
        Standing::Approved { by, .. } => {
            let desk = &core.desk;
            if !desk.directory.allows(&desk.client, by).await? {
                core.retract(id, None, &no_approver(by));
            }
        }
    }
    Ok(())
}

fn no_approver(by: &str) -> String {
    format!("{by} had approved it, and is not an approver any more")
}

/// The first of `users` who may decide; those before are strangers.
async fn first_allowed<'a>(
    core: &Core,
    users: &'a [String],
    strangers: &mut Vec<String>,
) -> Result<Option<&'a str>, CallError> {
    let desk = &core.desk;
    for user in users {
        if desk.directory.allows(&desk.client, user).await? {
            return Ok(Some(user));
        }
        if strangers.len() < STRANGERS_MAX {
            strangers.push(user.clone());
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Secret;
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

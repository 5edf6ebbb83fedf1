//! Identities in Slack: the bot itself, the approvers, and the ids of channels that are given by
//! name. Calls Slack only when something is open, and caches what it learns.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::Value;
use thoughtgate_panic::lock;
use tokio::sync::OnceCell;

use super::answers::{AuthTest, Channel, Channels, Members, Text};
use super::client::Client;
use super::error::{CallError, Loss, Refusal};
use super::ids::{is_channel_id, is_id, is_person_or_group};

/// Life of the cached members of user groups: short, so that somebody who is removed from a group
/// soon decides nothing, and long enough for Slack's limit of twenty such calls a minute.
const MEMBERS_FOR: Duration = Duration::from_secs(15);

/// The method that lists the members of a user group.
const MEMBERS: &str = "usergroups.users.list";

/// Most pages of the list of channels that are read to find a name, 200 channels each.
const CHANNEL_PAGES_MAX: usize = 20;

/// Identity of the bot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Me {
    pub(super) user: String,
    pub(super) bot: Option<String>,
    pub(super) team: Option<String>,
}

pub(super) struct Directory {
    people: HashSet<String>,
    groups: Vec<String>,
    members: tokio::sync::Mutex<Option<(Instant, HashSet<String>)>>,
    me: OnceCell<Me>,
    channels: Mutex<HashMap<String, String>>,
}

/// Asks Slack whose token this is, and for its scopes, separated by commas, if Slack lists them.
pub(super) async fn authenticate(client: &Client) -> Result<(Me, Option<String>), CallError> {
    let nothing = Value::Object(serde_json::Map::new());
    let answer = client.write("auth.test", &nothing).await?;
    let me: AuthTest<'_> = answer.read()?;
    if !is_person_or_group(&me.user_id.0) {
        return Err(CallError::Lost(Loss::NoUser));
    }
    let id = |text: Text<'_>| is_id(&text.0, &['B', 'T', 'E']).then(|| text.0.into());
    let me = Me {
        user: me.user_id.0.into(),
        bot: me.bot_id.and_then(id),
        team: me.team_id.and_then(id),
    };
    let scopes = answer.scopes.as_ref();
    let scopes = scopes.and_then(|scopes| scopes.to_str().ok().map(str::to_owned));
    Ok((me, scopes))
}

/// Ids of the members of a user group.
pub(super) async fn read_members(client: &Client, group: &str) -> Result<Vec<String>, CallError> {
    let parameters = [("usergroup", group)];
    let answer = client.read(MEMBERS, &parameters).await?;
    let users = answer.read::<Members<'_>>()?.users.into_iter();
    let people = users.filter(|user| is_person_or_group(&user.0));
    Ok(people.map(|user| user.0.into_owned()).collect())
}

impl Directory {
    pub(super) fn new(approvers: &[String]) -> Self {
        let (groups, people): (Vec<String>, Vec<String>) = approvers
            .iter()
            .cloned()
            .partition(|id| id.starts_with('S'));
        Self {
            people: people.into_iter().collect(),
            groups,
            members: tokio::sync::Mutex::default(),
            me: OnceCell::new(),
            channels: Mutex::default(),
        }
    }

    pub(super) async fn me(&self, client: &Client) -> Result<&Me, CallError> {
        // A failure is not kept: the next caller asks again.
        self.me
            .get_or_try_init(|| async { Ok(authenticate(client).await?.0) })
            .await
    }

    /// Whether `user` is an approver. An error means that this is not known yet.
    pub(super) async fn allows(&self, client: &Client, user: &str) -> Result<bool, CallError> {
        if self.people.contains(user) {
            return Ok(true);
        }
        if self.groups.is_empty() {
            return Ok(false);
        }
        // Held across the calls, so that lanes that need the members at once share one reading.
        let mut members = self.members.lock().await;
        if let Some((read, members)) = &*members
            && read.elapsed() < MEMBERS_FOR
        {
            return Ok(members.contains(user));
        }
        let mut fresh = HashSet::new();
        for group in &self.groups {
            fresh.extend(read_members(client, group).await?);
        }
        let allowed = fresh.contains(user);
        // Only once all groups were read: with a part of them, the denial of an approver would not count.
        *members = Some((Instant::now(), fresh));
        Ok(allowed)
    }

    /// The refusal of Slack to list the approvers, if all of them are in user groups, and if it refused
    /// that before and still does: then no vote can count.
    pub(super) async fn listed(&self, client: &Client) -> Result<(), CallError> {
        if !self.people.is_empty() || !client.faults.is_refused(MEMBERS, None) {
            return Ok(());
        }
        for group in &self.groups {
            match read_members(client, group).await {
                Err(error) if error.is_final() => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Caches that the channel `name` has the id `id`, as the response to a message showed.
    pub(super) fn learn(&self, name: &str, id: &str) {
        let mut channels = lock(&self.channels);
        channels.insert(bare(name).to_owned(), id.to_owned());
    }

    /// Whether two names, or a name and an id, are of one channel. A name whose id is not known yet
    /// differs from every id: then approvers are asked once more, rather than in the wrong channel.
    pub(super) fn is_same(&self, one: &str, other: &str) -> bool {
        if bare(one) == bare(other) {
            return true;
        }
        let id = self.known_channel(one);
        id.is_some() && id == self.known_channel(other)
    }

    /// Id of a channel, if it is given by its id or was learned before.
    pub(super) fn known_channel(&self, name: &str) -> Option<String> {
        if is_channel_id(name) {
            return Some(name.to_owned());
        }
        lock(&self.channels).get(bare(name)).cloned()
    }

    /// Id of a channel: reading needs the id, while posting takes names too.
    pub(super) async fn channel(&self, client: &Client, name: &str) -> Result<String, CallError> {
        if let Some(id) = self.known_channel(name) {
            return Ok(id);
        }
        self.find(client, &[name]).await?;
        // Also if more channels are left than may be read: the error advises to use the id.
        self.known_channel(name)
            .ok_or(CallError::Refused(Refusal::NoChannel))
    }

    /// Learns the ids of the channels with these names, by one pass through Slack's list of channels. Returns
    /// whether the list was read to its end, so that a name that is not known now does not exist.
    pub(super) async fn find(&self, client: &Client, names: &[&str]) -> Result<bool, CallError> {
        let parameters = [
            ("types", "public_channel,private_channel"),
            ("exclude_archived", "true"),
            ("limit", "200"),
        ];
        let mut pages = client.pages("conversations.list", &parameters, CHANNEL_PAGES_MAX);
        let needs_id = |error: CallError| match error {
            CallError::Refused(why) => CallError::Refused(Refusal::Lookup(Box::new(why))),
            other => other,
        };
        while names.iter().any(|name| self.known_channel(name).is_none()) {
            let Some(answer) = pages.next().await.map_err(needs_id)? else {
                return Ok(!pages.is_cut_off());
            };
            let page: Channels<'_> = answer.read()?;
            for Channel { id, name, .. } in &page.channels {
                let listed = name.as_ref().filter(|_| is_channel_id(&id.0));
                let wanted = |name: &&&str| listed.is_some_and(|listed| listed.0 == bare(name));
                if let Some(name) = names.iter().find(wanted) {
                    self.learn(name, &id.0);
                }
            }
            pages.follow(page.next()?);
        }
        Ok(true)
    }
}

/// Name of a channel without the `#` that it may be given with.
fn bare(name: &str) -> &str {
    name.strip_prefix('#').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_known_by_its_name_and_by_its_id() {
        let directory = Directory::new(&[]);
        assert!(directory.is_same("#low", "low"));
        assert!(!directory.is_same("#low", "#security"));
        assert!(!directory.is_same("#low", "C1"));
        directory.learn("#low", "C1");
        assert!(directory.is_same("low", "C1") && directory.is_same("C1", "#low"));
        assert!(!directory.is_same("#security", "C1"));
        directory.learn("#security", "C2");
        assert!(!directory.is_same("#security", "#low"));
    }
}

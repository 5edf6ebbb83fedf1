//! Who is who: the bot itself, who may approve, and which id a channel's name stands for. Asks
//! Slack only when something is pending, and remembers the answers.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::Value;
use thoughtgate_panic::lock;
use tokio::sync::OnceCell;

use super::answers::{AuthTest, Channel, Channels, Members, Text};
use super::client::{CallError, Client};

/// How long the members of user groups are believed: somebody who is removed from one decides
/// nothing soon after. Slack answers twenty such questions a minute.
const MEMBERS_FOR: Duration = Duration::from_secs(15);

/// Most pages of the list of channels that are read to find a name.
const CHANNEL_PAGES_MAX: usize = 20;

/// The bot itself.
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
        self.me
            .get_or_try_init(|| async {
                let answer = client
                    .write("auth.test", &Value::Object(serde_json::Map::new()))
                    .await?;
                let me: AuthTest<'_> = answer.read()?;
                if !is_person_or_group(&me.user_id.0) {
                    return Err(CallError::Lost("auth.test names no user".to_owned()));
                }
                let id = |text: Text<'_>| is_id(&text.0, &['B', 'T', 'E']).then(|| text.0.into());
                Ok(Me {
                    user: me.user_id.0.into(),
                    bot: me.bot_id.and_then(id),
                    team: me.team_id.and_then(id),
                })
            })
            .await
    }

    /// Whether `user` may decide. An error means that nobody knows yet.
    pub(super) async fn allows(&self, client: &Client, user: &str) -> Result<bool, CallError> {
        if self.people.contains(user) {
            return Ok(true);
        }
        if self.groups.is_empty() {
            return Ok(false);
        }
        let mut members = self.members.lock().await;
        if let Some((read, members)) = &*members
            && read.elapsed() < MEMBERS_FOR
        {
            return Ok(members.contains(user));
        }
        let mut fresh = HashSet::new();
        for group in &self.groups {
            let answer = client
                .read("usergroups.users.list", &[("usergroup", group)])
                .await?;
            let users = answer.read::<Members<'_>>()?.users.into_iter();
            let people = users.filter(|user| is_person_or_group(&user.0));
            fresh.extend(people.map(|user| user.0.into_owned()));
        }
        let allowed = fresh.contains(user);
        *members = Some((Instant::now(), fresh));
        Ok(allowed)
    }

    /// A message to `name` arrived in the channel `id`.
    pub(super) fn learn(&self, name: &str, id: &str) {
        let mut channels = lock(&self.channels);
        channels.insert(name.to_owned(), id.to_owned());
    }

    /// The id of a channel: reading needs one, while posting takes names too.
    pub(super) async fn channel(&self, client: &Client, name: &str) -> Result<String, CallError> {
        if is_channel_id(name) {
            return Ok(name.to_owned());
        }
        let known = lock(&self.channels).get(name).cloned();
        if let Some(id) = known {
            return Ok(id);
        }
        let wanted = name.trim_start_matches('#');
        let mut cursor = String::new();
        for _ in 0..CHANNEL_PAGES_MAX {
            let mut parameters = vec![
                ("types", "public_channel,private_channel"),
                ("exclude_archived", "true"),
                ("limit", "200"),
            ];
            if !cursor.is_empty() {
                parameters.push(("cursor", &cursor));
            }
            let answer = client.read("conversations.list", &parameters).await.map_err(|error| {
                match error {
                    CallError::Refused(why) => CallError::Refused(format!(
                        "{why}; give the id of channel `{name}` instead of its name, or let the app read channels"
                    )),
                    other => other,
                }
            })?;
            let page: Channels<'_> = answer.read()?;
            let is_wanted = |channel: &&Channel<'_>| {
                let named = channel.name.as_ref();
                named.is_some_and(|name| name.0 == wanted) && is_channel_id(&channel.id.0)
            };
            if let Some(channel) = page.channels.iter().find(is_wanted) {
                self.learn(name, &channel.id.0);
                return Ok(channel.id.0.to_string());
            }
            let Some(next) = page.next()? else {
                break;
            };
            cursor = next;
        }
        Err(CallError::Refused(format!(
            "no channel is named `{name}`; give its id"
        )))
    }
}

/// Slack's ids have some ten characters.
const ID_BYTES_MAX: usize = 32;

pub(super) fn is_id(text: &str, kinds: &[char]) -> bool {
    text.starts_with(kinds)
        && (2..=ID_BYTES_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
}

pub(super) fn is_person_or_group(text: &str) -> bool {
    is_id(text, &['U', 'W', 'S'])
}

/// Names of channels are lower case, so capitals and digits alone are an id.
fn is_channel_id(text: &str) -> bool {
    is_id(text, &['C', 'G', 'D'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_told_from_names() {
        assert!(is_channel_id("C0123456789") && is_channel_id("G1"));
        assert!(!is_channel_id("#approvals") && !is_channel_id("C") && !is_channel_id("Cafe"));
        assert!(is_person_or_group("U0123") && is_person_or_group("S0123"));
        assert!(!is_person_or_group("@alice") && !is_person_or_group(""));
    }
}

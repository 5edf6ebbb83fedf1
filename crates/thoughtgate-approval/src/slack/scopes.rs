//! The scopes of the bot token that the calls of this program need, each with its reason. The app
//! manifest in the documentation is tested against this list. Calls nothing.

use super::ids::{is_channel_id, is_group};
use super::settings::SlackSettings;

/// A scope of the bot token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope {
    /// Name, as in an app manifest.
    pub name: &'static str,
    /// Purpose of the scope.
    pub reason: &'static str,
    need: Need,
}

/// When a scope is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Always,
    /// One of these, by the kind of the channel.
    History,
    /// One of these, if the channel is given by its name.
    Name,
    /// If user groups are approvers.
    Groups,
}

/// All scopes that may be needed.
pub const SLACK_SCOPES: &[Scope] = &[
    Scope {
        name: "chat:write",
        reason: "posts approval requests and updates them",
        need: Need::Always,
    },
    Scope {
        name: "reactions:read",
        reason: "reads the votes on one message, right before its call is made",
        need: Need::Always,
    },
    Scope {
        name: "channels:history",
        reason: "reads the votes in a public channel",
        need: Need::History,
    },
    Scope {
        name: "groups:history",
        reason: "reads the votes in a private channel",
        need: Need::History,
    },
    Scope {
        name: "channels:read",
        reason: "finds a public channel that is given by its name",
        need: Need::Name,
    },
    Scope {
        name: "groups:read",
        reason: "finds a private channel that is given by its name",
        need: Need::Name,
    },
    Scope {
        name: "usergroups:read",
        reason: "reads the members of user groups (S…) among the approvers",
        need: Need::Groups,
    },
];

/// A scope that a token lacks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missing {
    /// Its name, or the names of which one suffices, with the reasons.
    pub(super) text: String,
    /// Whether approvals fail without it, and not only some of them.
    pub(super) is_vital: bool,
}

/// The scopes that these settings need and the list `granted`, separated by commas, lacks.
pub(super) fn missing(granted: &str, settings: &SlackSettings) -> Vec<Missing> {
    let granted: Vec<&str> = granted.split(',').map(str::trim).collect();
    let channel = settings.channel.as_str();
    let needs = [
        (Need::Always, true),
        // A direct message has a scope of its own, which the call names if it is missing.
        (Need::History, !channel.starts_with('D')),
        (Need::Name, !is_channel_id(channel)),
        (
            Need::Groups,
            settings.approvers.iter().any(|id| is_group(id)),
        ),
    ];
    let mut missing = Vec::new();
    for (need, _) in needs.into_iter().filter(|(_, applies)| *applies) {
        let of_need = SLACK_SCOPES.iter().filter(|scope| scope.need == need);
        let lacking = of_need
            .clone()
            .filter(|scope| !granted.contains(&scope.name));
        let lacking: Vec<String> = lacking
            .map(|scope| format!("{} ({})", scope.name, scope.reason))
            .collect();
        let is_vital = need != Need::Name;
        if matches!(need, Need::History | Need::Name) {
            // One of them suffices, and only Slack knows which: a call with the channel shows it.
            if lacking.len() == of_need.count() {
                let text = lacking.join(" or ");
                missing.push(Missing { text, is_vital });
            }
        } else {
            missing.extend(lacking.into_iter().map(|text| Missing { text, is_vital }));
        }
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn missing_of(granted: &str, channel: &str, approver: &str) -> Vec<(String, bool)> {
        let mut settings = SlackSettings::new(Secret::new("x"), channel);
        settings.approvers = vec![approver.to_owned()];
        let missing = missing(granted, &settings).into_iter();
        missing.map(|one| (one.text, one.is_vital)).collect()
    }

    #[test]
    fn only_what_the_settings_need_is_missed() {
        let enough = "chat:write, reactions:read,groups:history";
        assert_eq!(missing_of(enough, "C1", "U1"), []);
        let by_name = missing_of(enough, "#approvals", "U1");
        let text = &by_name[0].0;
        assert!(text.contains("channels:read (") && text.contains("or groups:read ("));
        assert_eq!((by_name.len(), by_name[0].1), (1, false));
        let group = missing_of(enough, "C1", "S1");
        assert!(group[0].0.starts_with("usergroups:read (") && group[0].1);
        let nothing = missing_of("", "C1", "U1");
        let names = |texts: &[(String, bool)]| {
            let first = |text: &str| text.split(' ').next().unwrap().to_owned();
            texts
                .iter()
                .map(|(text, _)| first(text))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            names(&nothing),
            ["chat:write", "reactions:read", "channels:history"]
        );
        assert_eq!(
            names(&missing_of("", "D1", "U1")),
            ["chat:write", "reactions:read"]
        );
    }
}

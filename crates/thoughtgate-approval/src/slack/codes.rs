//! Slack's error codes that say what is wrong with a set-up or a message, with the way out of each.
//! Codes that are not listed are shown as they are.

/// Subject of an error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// The token, so that every call fails.
    Token,
    /// A scope that the token lacks.
    Scope,
    /// The channel: it is unknown to the bot, or the bot is not in it.
    Channel,
    /// One message; the calls about others work.
    Message,
    /// Something else that only a change in Slack or of the settings can mend.
    Other,
}

const NEW_TOKEN: &str = "set the bot token (xoxb-…) that the Slack app has now, and restart";
const SCOPE: &str =
    "add the scope to the Slack app under OAuth & Permissions, then reinstall the app";
const INVITE: &str = "invite the app to the channel (/invite)";
const NO_CHANNEL: &str =
    "check the id of the channel; if it is private, invite the app to it (/invite)";
const ARCHIVED: &str = "unarchive the channel, or set another one";
const RESTRICTED: &str = "permit the app to post in the channel";
const NO_GROUP: &str = "check the ids of user groups (S…) among the approvers";

/// Code, its subject, and the advice; empty where nothing in Slack or the settings has to change.
const CODES: &[(&str, About, &str)] = &[
    ("invalid_auth", About::Token, NEW_TOKEN),
    ("not_authed", About::Token, NEW_TOKEN),
    ("token_revoked", About::Token, NEW_TOKEN),
    ("token_expired", About::Token, NEW_TOKEN),
    ("account_inactive", About::Token, NEW_TOKEN),
    ("not_allowed_token_type", About::Token, NEW_TOKEN),
    ("missing_scope", About::Scope, SCOPE),
    ("no_permission", About::Scope, SCOPE),
    ("not_in_channel", About::Channel, INVITE),
    ("channel_not_found", About::Channel, NO_CHANNEL),
    ("is_archived", About::Other, ARCHIVED),
    ("restricted_action", About::Other, RESTRICTED),
    ("no_such_subteam", About::Other, NO_GROUP),
    ("message_not_found", About::Message, ""),
    ("cant_update_message", About::Message, ""),
    ("edit_window_closed", About::Message, ""),
    ("msg_too_long", About::Message, ""),
    ("invalid_blocks", About::Message, ""),
    ("invalid_blocks_format", About::Message, ""),
];

/// Subject of `code`.
pub(super) fn about(code: &str) -> About {
    find(code).map_or(About::Other, |(_, about, _)| *about)
}

/// Advice for `code`, if there is any.
pub(super) fn advice(code: &str) -> Option<&'static str> {
    find(code)
        .map(|(_, _, advice)| *advice)
        .filter(|advice| !advice.is_empty())
}

fn find(code: &str) -> Option<&'static (&'static str, About, &'static str)> {
    CODES.iter().find(|(known, _, _)| *known == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_of_the_set_up_comes_with_the_way_out() {
        for (code, about, advice) in CODES {
            assert_eq!(advice.is_empty(), *about == About::Message, "{code}");
            assert_eq!(
                CODES.iter().filter(|(other, _, _)| other == code).count(),
                1,
                "{code}"
            );
        }
        assert_eq!(about("token_revoked"), About::Token);
        assert_eq!(about("some_new_code"), About::Other);
        assert_eq!(advice("some_new_code"), None);
    }
}

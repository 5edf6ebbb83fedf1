//! The faults of the calls to Slack as they are now, by method and channel: a call that fails does not
//! hide one that works, nor the other way round. Logs changes, and makes no call.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use thoughtgate_panic::{info, lock, warn};
use tokio::sync::Notify;

use super::codes::About;
use super::error::CallError;
use crate::backoff::RETRY_MAX;
use crate::cause::chain;

/// Time after which the fault of a channel that policies name counts no more: they may not name it any
/// more, so that no call can show that it works.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);

/// Time after which nobody repeats a call that failed: attempts are at most half of it apart.
const ABANDONED: Duration = RETRY_MAX.saturating_mul(2);

/// Rate limits in a row, and wait, from which on they are a fault. Less is the usual pace of Slack.
const LIMITS_IN_A_ROW: u32 = 2;
const LIMIT_LONG: Duration = Duration::from_secs(30);

/// In place of a method: the scopes of the token, as Slack lists them.
const SCOPES: &str = "auth.test (scopes)";

/// Place of a fault: a method, and the channel if it takes one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    method: &'static str,
    channel: Option<String>,
}

struct Fault {
    reason: String,
    about: Option<About>,
    at: Instant,
    /// Rate limits in a row, if this is one.
    limits: u32,
    /// Whether it is shown: a rate limit is not at first.
    is_shown: bool,
}

pub(super) struct Faults {
    /// Name or id of the channel that the settings name.
    channel: String,
    /// Whether changes are logged; a check of the settings prints its findings itself.
    logs: bool,
    known: Mutex<BTreeMap<Place, Fault>>,
    /// Notified of each failure.
    pub(super) changed: Notify,
}

impl Faults {
    pub(super) fn new(channel: &str, logs: bool) -> Self {
        Self {
            channel: channel.to_owned(),
            logs,
            known: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Records the outcome of a call.
    pub(super) fn note(
        &self,
        method: &'static str,
        channel: Option<&str>,
        error: Option<&CallError>,
    ) {
        let place = Place {
            method,
            channel: channel.map(str::to_owned),
        };
        match error {
            // Whether a name has to be looked up, and what follows from it, only the caller knows.
            Some(CallError::Refused(_)) if method == "conversations.list" => {}
            Some(error) if error.about() != Some(About::Message) => self.fails(place, error),
            // An error about one message shows that token, scope and channel are as they should be.
            _ => self.works(&place),
        }
    }

    /// Records that the token has all scopes, or the reason why it has not.
    pub(super) fn note_scopes(&self, missing: Option<String>) {
        let place = Place {
            method: SCOPES,
            channel: None,
        };
        match missing {
            Some(reason) => self.add(place, reason, Some(About::Scope), None),
            None => self.works(&place),
        }
    }

    /// Records that a check, begun at `since`, found no fault: of the token, the channel with these names,
    /// and, if `with_scopes`, the scopes. Of a later fault it says nothing.
    pub(super) fn checked(&self, since: Instant, channels: &[&str], with_scopes: bool) {
        self.remove(|place, fault| {
            let channel = place.channel.as_deref();
            let is_checked = match fault.about {
                // Another method may go on failing; one that nobody calls any more is over.
                None | Some(About::Token) => fault.at.elapsed() >= ABANDONED,
                Some(About::Channel) => true,
                Some(About::Scope) => with_scopes,
                Some(About::Message | About::Other) => false,
            };
            let is_checked = is_checked && fault.at < since;
            is_checked && channel.is_none_or(|channel| channels.contains(&channel))
        });
    }

    /// The fault to show, if there is one: rather one that lasts than one that may pass.
    pub(super) fn current(&self) -> Option<String> {
        let known = lock(&self.known);
        let shown = known.iter().filter(|one| self.is_shown(one.0, one.1));
        let (place, fault) = shown.min_by_key(|(_, fault)| fault.about.is_none())?;
        Some(format!("{}: {}", place.method, fault.reason))
    }

    /// Whether Slack has refused the latest call of `method`, for `channel` if it takes one.
    pub(super) fn is_refused(&self, method: &'static str, channel: Option<&str>) -> bool {
        let known = lock(&self.known);
        known.iter().any(|(place, fault)| {
            place.method == method && place.channel.as_deref() == channel && fault.about.is_some()
        })
    }

    fn is_shown(&self, place: &Place, fault: &Fault) -> bool {
        let channel = place.channel.as_ref();
        let is_of_settings = channel.is_none_or(|channel| *channel == self.channel);
        fault.is_shown && (is_of_settings || fault.at.elapsed() < REMEMBERED)
    }

    fn fails(&self, place: Place, error: &CallError) {
        let limit = match error {
            CallError::Limited(wait) => Some(*wait),
            _ => None,
        };
        self.add(place, chain(error), error.about(), limit);
        self.changed.notify_one();
    }

    fn add(&self, place: Place, reason: String, about: Option<About>, limit: Option<Duration>) {
        let mut known = lock(&self.known);
        known.retain(|place, fault| !fault.is_shown || self.is_shown(place, fault));
        let before = known.remove(&place);
        if let (Some(_), Some(Fault { limits: 0, .. })) = (limit, &before)
            && let Some(mut fault) = before
        {
            // A rate limit does not say whether the fault is over.
            fault.at = Instant::now();
            known.insert(place, fault);
            return;
        }
        let limits = match limit {
            Some(_) => before.as_ref().map_or(0, |before| before.limits) + 1,
            None => 0,
        };
        let was_shown = before.as_ref().is_some_and(|before| before.is_shown);
        let is_long = limit.is_none_or(|wait| wait >= LIMIT_LONG);
        let is_shown = was_shown || is_long || limits >= LIMITS_IN_A_ROW;
        // Another reason of a fault that may pass is no change; neither is the same one at another method.
        let was_similar = before.is_some_and(|before| {
            before.is_shown
                && (before.reason == reason || (before.about.is_none() && about.is_none()))
        });
        let is_known = known
            .values()
            .any(|fault| fault.is_shown && fault.reason == reason);
        if self.logs && is_shown && !was_similar && !is_known {
            let (method, of) = (place.method, self.named(place.channel.as_deref()));
            warn!("approvers cannot be asked: {method}{of}: {reason}");
        }
        let at = Instant::now();
        known.insert(
            place,
            Fault {
                reason,
                about,
                at,
                limits,
                is_shown,
            },
        );
    }

    /// The channel of a fault for the log. That of the settings is not quoted: it may be anything.
    fn named(&self, channel: Option<&str>) -> String {
        match channel {
            None => String::new(),
            Some(channel) if channel == self.channel => " in `approval.slack.channel`".to_owned(),
            Some(channel) => format!(" in `{channel}`"),
        }
    }

    fn works(&self, works: &Place) {
        let is_of_token = |fault: &Fault| fault.about == Some(About::Token);
        // A token that was refused here and is accepted now is valid again everywhere. A call that never
        // failed says nothing of one that does: Slack may refuse the token to that method alone.
        let is_valid_again = lock(&self.known).get(works).is_some_and(is_of_token);
        self.remove(|place, fault| place == works || (is_valid_again && is_of_token(fault)));
    }

    fn remove(&self, is_over: impl Fn(&Place, &Fault) -> bool) {
        let mut known = lock(&self.known);
        let was_shown = known.values().any(|fault| fault.is_shown);
        known.retain(|place, fault| !is_over(place, fault));
        let is_shown = known.values().any(|fault| fault.is_shown);
        if self.logs && was_shown && !is_shown {
            info!("approvers can be asked again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::{Code, Loss, Refusal};
    use super::*;

    const POST: &str = "chat.postMessage";
    const HISTORY: &str = "conversations.history";

    fn refused(code: &str) -> CallError {
        CallError::Refused(Refusal::Code {
            code: Code::new(code),
            needed: None,
        })
    }

    fn lost() -> CallError {
        CallError::Lost(Loss::NoVerdict)
    }

    #[test]
    fn a_check_ends_what_it_shows_to_be_over_and_nothing_else() {
        let faults = Faults::new("C1", false);
        for (error, is_over) in [
            (refused("token_revoked"), false),
            (refused("not_in_channel"), true),
            (refused("missing_scope"), false),
            (refused("restricted_action"), false),
            (lost(), false),
        ] {
            faults.note(POST, Some("C1"), Some(&error));
            faults.checked(Instant::now(), &["C1"], false);
            assert_eq!(faults.current().is_none(), is_over, "{error}");
            faults.note(POST, Some("C1"), None);
            assert_eq!(faults.current(), None);
        }
        faults.note(POST, Some("C1"), Some(&refused("missing_scope")));
        faults.note(POST, Some("C2"), Some(&refused("not_in_channel")));
        faults.checked(Instant::now(), &["C1"], true);
        assert!(faults.current().unwrap().contains("not_in_channel"));
    }

    #[test]
    fn a_check_says_nothing_of_a_fault_that_came_after_it_had_begun() {
        let faults = Faults::new("C1", false);
        let since = Instant::now();
        faults.note(POST, Some("C1"), Some(&refused("channel_not_found")));
        faults.checked(since, &["C1"], true);
        assert!(faults.current().is_some());
        faults.checked(Instant::now(), &["C1"], true);
        assert_eq!(faults.current(), None);
    }

    #[test]
    fn a_token_is_valid_again_when_a_call_that_failed_for_it_works() {
        let faults = Faults::new("C1", false);
        let revoked = refused("token_revoked");
        faults.note(HISTORY, Some("C1"), Some(&revoked));
        assert!(faults.is_refused(HISTORY, Some("C1")) && !faults.is_refused(POST, Some("C1")));
        // Calls that never failed, one with an error about its message among them.
        faults.note(POST, Some("C1"), None);
        let gone = refused("message_not_found");
        faults.note("chat.update", Some("C1"), Some(&gone));
        assert!(faults.current().unwrap().starts_with(HISTORY));
        faults.note("auth.test", None, Some(&revoked));
        faults.note(POST, Some("C1"), Some(&lost()));
        faults.note("auth.test", None, None);
        let left = faults.current().unwrap();
        assert!(left.starts_with(POST), "{left}");
    }

    #[test]
    fn a_rate_limit_shows_if_it_is_long_or_repeated_and_hides_no_fault() {
        let limited = |seconds| CallError::Limited(Duration::from_secs(seconds));
        let faults = Faults::new("C1", false);
        faults.note(POST, Some("C1"), Some(&limited(1)));
        assert_eq!(faults.current(), None);
        faults.note(POST, Some("C1"), Some(&limited(1)));
        assert!(faults.current().is_some());
        faults.note(HISTORY, Some("C1"), Some(&refused("missing_scope")));
        faults.note(HISTORY, Some("C1"), Some(&limited(60)));
        assert!(faults.current().unwrap().contains("missing_scope"));
        faults.note("auth.test", None, Some(&limited(60)));
        faults.note(POST, Some("C1"), None);
        faults.note(HISTORY, Some("C1"), None);
        assert!(faults.current().unwrap().starts_with("auth.test"));
    }
}

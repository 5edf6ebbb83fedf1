//! Buttons: verifies that an interaction, as Slack calls the press of a button, comes from Slack, and
//! parses it. Serves no endpoint; the proxy passes headers and body on. What a press does is in `press.rs`.

use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::HEXLOWER;
use ring::hmac;
use serde::Deserialize;

use super::ids::is_person_or_group;
use super::message::{APPROVE_ACTION, DENY_ACTION};
use crate::ids::Id;
use crate::secret::Secret;

/// Oldest request that is accepted, as Slack advises: older ones may be replays.
const AGE_SECONDS_MAX: u64 = 300;

/// A press of a button, proven to come from Slack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interaction {
    /// Slack id of the user who pressed.
    pub user: String,
    /// Id of the approval that the button belongs to.
    pub id: Id,
    /// True for the button that approves, false for the one that denies or withdraws.
    pub approve: bool,
    /// Id of the channel of the message.
    pub channel: String,
    /// Timestamp of the message, which identifies it in its channel.
    pub ts: String,
    /// Id of the workspace, if Slack sent one.
    pub team: Option<String>,
}

/// A request that is not a valid press of a ThoughtGate button.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InteractionError {
    /// No signing secret is configured.
    #[error("buttons are disabled: no Slack signing secret is configured")]
    Disabled,
    /// The signature is missing, malformed or made with another secret: answer 401.
    #[error("missing or wrong Slack signature")]
    Signature,
    /// The timestamp is more than five minutes off: answer 401.
    #[error(
        "the timestamp of Slack's request is more than 5 minutes off; check the clock of the proxy's machine"
    )]
    Stale,
    /// Genuine, but not a press of a ThoughtGate button: answer 200 and do nothing.
    #[error("the request is not a press of a ThoughtGate button")]
    Unknown,
}

/// Verifies signature and age, then parses the interaction. `timestamp` and `signature` are the
/// headers `X-Slack-Request-Timestamp` and `X-Slack-Signature`; `body` is as received.
pub(super) fn verify_and_parse(
    signing_secret: &Secret,
    timestamp: &str,
    signature: &str,
    body: &[u8],
    now: SystemTime,
) -> Result<Interaction, InteractionError> {
    let digits = signature.strip_prefix("v0=");
    let claimed = digits.and_then(|digits| HEXLOWER.decode(digits.as_bytes()).ok());
    let claimed = claimed.ok_or(InteractionError::Signature)?;
    // `parse` accepts a plus sign, which Slack does not send.
    let is_number = timestamp.bytes().all(|byte| byte.is_ascii_digit());
    let sent: u64 = timestamp
        .parse()
        .ok()
        .filter(|_| is_number)
        .ok_or(InteractionError::Signature)?;
    let signed = [b"v0:", timestamp.as_bytes(), b":", body].concat();
    let key = hmac::Key::new(hmac::HMAC_SHA256, signing_secret.expose().as_bytes());
    // Compares in constant time.
    hmac::verify(&key, &signed, &claimed).map_err(|_| InteractionError::Signature)?;
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    if now.abs_diff(sent) > AGE_SECONDS_MAX {
        return Err(InteractionError::Stale);
    }
    parse(body).ok_or(InteractionError::Unknown)
}

#[derive(Deserialize)]
struct Payload {
    #[serde(rename = "type")]
    kind: String,
    user: User,
    team: Option<Team>,
    container: Container,
    actions: Vec<Action>,
}

#[derive(Deserialize)]
struct User {
    id: String,
}

#[derive(Deserialize)]
struct Team {
    id: String,
}

#[derive(Deserialize)]
struct Container {
    message_ts: String,
    channel_id: String,
}

#[derive(Deserialize)]
struct Action {
    action_id: String,
    value: Option<String>,
}

fn parse(body: &[u8]) -> Option<Interaction> {
    let body = std::str::from_utf8(body).ok()?;
    // Exactly one: with two it would be unclear which one counts.
    let mut payloads = body
        .split('&')
        .filter_map(|field| field.strip_prefix("payload="));
    let (Some(payload), None) = (payloads.next(), payloads.next()) else {
        return None;
    };
    let payload: Payload = serde_json::from_slice(&form_decode(payload)?).ok()?;
    // One interaction is one action; with two it would be unclear which one was meant.
    let [action] = payload.actions.as_slice() else {
        return None;
    };
    let approve = match action.action_id.as_str() {
        APPROVE_ACTION => true,
        DENY_ACTION => false,
        _ => return None,
    };
    if payload.kind != "block_actions" || !is_person_or_group(&payload.user.id) {
        return None;
    }
    Some(Interaction {
        id: Id::parse(action.value.as_deref()?)?,
        approve,
        user: payload.user.id,
        channel: payload.container.channel_id,
        ts: payload.container.message_ts,
        team: payload.team.map(|team| team.id),
    })
}

/// Decodes a value of a form. Not `form_urlencoded`, which takes a `%` without two digits for itself:
/// Slack sends no such value.
fn form_decode(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (high, low) = (digit(bytes.next()?)?, digit(bytes.next()?)?);
                u8::try_from(16 * high + low).ok()?
            }
            plain => plain,
        });
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const NOW: u64 = 1_785_229_500;

    fn secret() -> Secret {
        Secret::new("signing secret")
    }

    fn sign(timestamp: &str, body: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"signing secret");
        let signed = [b"v0:", timestamp.as_bytes(), b":", body].concat();
        format!("v0={}", HEXLOWER.encode(hmac::sign(&key, &signed).as_ref()))
    }

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn form(id: Id, action: &str) -> Vec<u8> {
        let payload = format!(
            "{{\"type\":\"block_actions\",\"user\":{{\"id\":\"U1\"}},\"container\":{{\"message_ts\":\"1.2\",\"channel_id\":\"C1\"}},\"actions\":[{{\"action_id\":\"{action}\",\"value\":\"{id}\"}}]}}"
        );
        let mut encoded = "payload=".to_owned();
        for byte in payload.bytes() {
            encoded.push('%');
            encoded.push_str(&HEXLOWER.encode(&[byte]).to_uppercase());
        }
        encoded.into_bytes()
    }

    /// The example in Slack's own description of the scheme.
    #[test]
    fn the_published_example_verifies() {
        let secret = Secret::new("8f742231b10e8888abcd99yyyzzz85a5");
        let body = b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
        let signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
        let result = verify_and_parse(&secret, "1531420618", signature, body, at(1_531_420_618));
        // Genuine, and a slash command instead of a button.
        assert_eq!(result, Err(InteractionError::Unknown));
    }

    #[test]
    fn an_interaction_is_read() {
        let id = Id::random().unwrap();
        let (timestamp, body) = (NOW.to_string(), form(id, DENY_ACTION));
        let signature = sign(&timestamp, &body);
        let interaction =
            verify_and_parse(&secret(), &timestamp, &signature, &body, at(NOW)).unwrap();
        assert_eq!(
            (
                interaction.id,
                interaction.approve,
                interaction.user.as_str()
            ),
            (id, false, "U1")
        );
        assert_eq!(
            (interaction.channel.as_str(), interaction.ts.as_str()),
            ("C1", "1.2")
        );
    }

    #[test]
    fn forged_and_replayed_requests_are_refused() {
        let (timestamp, body) = (NOW.to_string(), form(Id::random().unwrap(), APPROVE_ACTION));
        let signature = sign(&timestamp, &body);
        let verify = |timestamp: &str, signature: &str, body: &[u8], now| {
            verify_and_parse(&secret(), timestamp, signature, body, at(now)).unwrap_err()
        };
        let other = form(Id::random().unwrap(), APPROVE_ACTION);
        assert_eq!(
            verify(&timestamp, &signature, &other, NOW),
            InteractionError::Signature
        );
        let signed = sign(&format!("+{NOW}"), &body);
        assert_eq!(
            verify(&format!("+{NOW}"), &signed, &body, NOW),
            InteractionError::Signature
        );
        let later = (NOW + 1).to_string();
        assert_eq!(
            verify(&later, &signature, &body, NOW),
            InteractionError::Signature
        );
        for wrong in [
            "",
            "v0=",
            "v0=00",
            "v1=00",
            &signature[3..],
            &signature[..66],
        ] {
            assert_eq!(
                verify(&timestamp, wrong, &body, NOW),
                InteractionError::Signature
            );
        }
        assert_eq!(
            verify(&timestamp, &signature, &body, NOW + 301),
            InteractionError::Stale
        );
        assert_eq!(
            verify(&timestamp, &signature, &body, NOW - 301),
            InteractionError::Stale
        );
    }

    #[test]
    fn an_interaction_that_says_two_things_is_none() {
        let id = Id::random().unwrap();
        let encode = |payload: &str| {
            let mut encoded = "payload=".to_owned();
            for byte in payload.bytes() {
                encoded.push('%');
                encoded.push_str(&HEXLOWER.encode(&[byte]));
            }
            encoded
        };
        let with = |extra: &str, more: &str| {
            format!(
                r#"{{"type":"block_actions",{extra}"user":{{"id":"U1"}},"container":{{"message_ts":"1.2","channel_id":"C1"}},"actions":[{{"action_id":"{DENY_ACTION}","value":"{id}"}}{more}]}}"#
            )
        };
        let plain = encode(&with("", ""));
        assert!(parse(plain.as_bytes()).is_some());
        let team = encode(&with(r#""team":{"id":"T1"},"#, ""));
        assert_eq!(parse(team.as_bytes()).unwrap().team.as_deref(), Some("T1"));
        let second = format!(r#",{{"action_id":"{APPROVE_ACTION}","value":"{id}"}}"#);
        for body in [
            format!("{plain}&{plain}"),
            encode(&with(r#""user":{"id":"U2"},"#, "")),
            encode(&with("", &second)),
            plain.replace(&encode("U1")[8..], &encode("me")[8..]),
            "payload=%7".to_owned(),
            "payload=".to_owned(),
        ] {
            assert_eq!(parse(body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn other_actions_are_not_ours() {
        let (timestamp, body) = (NOW.to_string(), form(Id::random().unwrap(), "other_app"));
        let signature = sign(&timestamp, &body);
        let result = verify_and_parse(&secret(), &timestamp, &signature, &body, at(NOW));
        assert_eq!(result, Err(InteractionError::Unknown));
    }
}

//! Button presses: only a body with a valid signature and a fresh timestamp passes, and it is read as
//! any reader of the form would read it.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ring::hmac;
use thoughtgate_approval::{
    Approvals, ChannelSettings, Interaction, InteractionError, Secret, Settings, SlackSettings,
    StoreLocation,
};

use super::target::{Check, Target, kind};
use crate::generate::Writer;
use crate::hex::hex;
use crate::json::{self, Json};
use crate::random::Random;
use crate::readers::Reader;

pub const TARGET: Target = Target {
    name: "press",
    generate,
    check: || {
        // Never polled again: nothing is pending, so that there is nobody to ask.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let mut slack = SlackSettings::new(Secret::new("xoxb-none"), "C0");
        "http://127.0.0.1:1/api".clone_into(&mut slack.base_url);
        slack.approvers = vec!["U1".to_owned()];
        slack.signing_secret = Some(Secret::new(SECRET));
        let settings = Settings::new(StoreLocation::Memory);
        let opening = Approvals::open(settings, ChannelSettings::Slack(slack));
        let approvals = runtime.block_on(opening)?;
        Ok(Box::new(move |input: &[u8]| {
            // Named here so that the closure owns the runtime, and both end together.
            let _keep = &runtime;
            check(&approvals, input)
        }) as Check)
    },
};

const SECRET: &str = "signing secret";
const NOW_S: u64 = 1_785_229_500;
// Slack advises to refuse requests that are more than five minutes old.
const AGE_S_MAX: u64 = 300;

/// Lines: the timestamp, the signature (`good` for the right one), then the body.
fn generate(random: &mut Random) -> Vec<u8> {
    let timestamp = match random.below(8) {
        0 => (NOW_S + AGE_S_MAX + 1).to_string(),
        1 => (NOW_S - AGE_S_MAX).to_string(),
        2 => random
            .pick(&["", "0", "-1", "1e9", "+1785229500", "99999999999999999999"])
            .to_owned(),
        _ => NOW_S.to_string(),
    };
    let signature = random.pick(&[
        "good", "good", "good", "GOOD", "v0=", "v0=00", "", "v1=good",
    ]);
    let faults = [0, 10][random.below(2)];
    let payload = payload(&mut Writer::new(random, faults));
    let mut body = String::from(*random_field(random));
    for byte in payload.bytes() {
        if byte.is_ascii_alphanumeric() && !random.one_in(8) {
            body.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(body, "%{byte:02X}");
        }
    }
    format!("{timestamp}\n{signature}\n{body}").into_bytes()
}

fn random_field<'c>(random: &mut Random) -> &'c &'static str {
    const FIELDS: [&str; 5] = [
        "payload=",
        "payload=",
        "a=b&payload=",
        "payload=x&payload=",
        "Payload=",
    ];
    &FIELDS[random.below(FIELDS.len())]
}

fn payload(writer: &mut Writer<'_>) -> String {
    let id: String = (0..32)
        .map(|_| char::from(b"0123456789abcdef"[writer.random.below(16)]))
        .collect();
    let action = writer
        .random
        .pick(&["thoughtgate_approve", "thoughtgate_deny", "other"]);
    let (action, id) = (writer.text(action), writer.text(&format!("tg-{id}")));
    let action = writer.nested(vec![
        ("action_id".to_owned(), action),
        ("value".to_owned(), id),
    ]);
    let user = writer.text("U1");
    let user = writer.nested(vec![("id".to_owned(), user)]);
    let (channel, ts) = (writer.text("C1"), writer.text("1.2"));
    let container = writer.nested(vec![
        ("message_ts".to_owned(), ts),
        ("channel_id".to_owned(), channel),
    ]);
    let kind = writer
        .random
        .pick(&["block_actions", "block_actions", "view_submission"]);
    let kind = writer.text(kind);
    writer.nested(vec![
        ("type".to_owned(), kind),
        ("user".to_owned(), user),
        ("container".to_owned(), container),
        ("actions".to_owned(), format!("[{action}]")),
    ])
}

fn check(approvals: &Approvals, input: &[u8]) -> Result<u64, String> {
    // Three parts at most: the body may contain line feeds.
    let mut lines = input.splitn(3, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (timestamp, signature, body) = (line(), line(), line());
    let Ok(timestamp) = std::str::from_utf8(timestamp) else {
        return Ok(0);
    };
    let right = format!("v0={}", sign(timestamp, body));
    let signature = match signature {
        b"good" => right.clone(),
        b"GOOD" => right.to_uppercase(),
        other => String::from_utf8_lossy(other).into_owned(),
    };
    let header = |name: &str| match name {
        "x-slack-request-timestamp" => Some(timestamp),
        "x-slack-signature" => Some(signature.as_str()),
        _ => None,
    };
    let now = UNIX_EPOCH + Duration::from_secs(NOW_S);
    let verified = approvals.verify(header, body, now);
    // Digits alone: Rust would read a sign too.
    let fresh = timestamp.bytes().all(|byte| byte.is_ascii_digit())
        && timestamp
            .parse::<u64>()
            .is_ok_and(|sent| sent.abs_diff(NOW_S) <= AGE_S_MAX);
    let genuine = signature == right && fresh;
    match &verified {
        Ok(press) if !genuine => Err(format!("forged: {press:?}")),
        Err(InteractionError::Unknown) if !genuine => {
            Err("forged: the body was read before its signature was checked".to_owned())
        }
        Ok(press) => read_alike(press, body),
        Err(InteractionError::Unknown) if well_formed(body) => {
            Err("refused: a press that is signed, fresh and well-formed".to_owned())
        }
        Err(InteractionError::Signature | InteractionError::Stale) if genuine => {
            Err(format!("refused: a genuine request, as {verified:?}"))
        }
        Err(_) => Ok(()),
    }?;
    let same_time = verified == approvals.verify(header, body, now);
    if !same_time || approvals.verify(|_| None, body, SystemTime::now()).is_ok() {
        return Err("forged: accepted without headers, or differently a second time".to_owned());
    }
    Ok(kind(
        verified
            .map(|press| press.approve)
            .map_err(|error| error.to_string()),
    ))
}

fn sign(timestamp: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signed = [b"v0:", timestamp.as_bytes(), b":", body].concat();
    hex(hmac::sign(&key, &signed).as_ref())
}

fn read_alike(press: &Interaction, body: &[u8]) -> Result<(), String> {
    let json = payload_of(body).ok_or("read differently: the body has no payload in JSON")?;
    for reader in [Reader::FirstWins, Reader::LastWins] {
        let text = |path: &[&str]| {
            let units = reader.text(reader.find(&json, path)?)?;
            String::from_utf16(&units).ok()
        };
        let read = (
            text(&["user", "id"]),
            text(&["container", "channel_id"]),
            text(&["container", "message_ts"]),
        );
        let own = (press.user.clone(), press.channel.clone(), press.ts.clone());
        if read != (Some(own.0), Some(own.1), Some(own.2)) {
            return Err(format!(
                "read differently: {reader:?} reads {read:?}, not {press:?}"
            ));
        }
        if text(&["type"]).as_deref() != Some("block_actions") {
            return Err(format!("read differently: {reader:?} reads no press"));
        }
    }
    Ok(())
}

/// Whether the body is what Slack sends for a press of one of the two buttons, no key twice.
fn well_formed(body: &[u8]) -> bool {
    let (Some(json), Ok(_)) = (payload_of(body), std::str::from_utf8(body)) else {
        return false;
    };
    if json.spelt().is_none() || json.has_lone_surrogate() {
        return false;
    }
    let reader = Reader::LastWins;
    let text = |json: &Json, path: &[&str]| {
        let units = reader.text(reader.find(json, path)?)?;
        String::from_utf16(&units).ok()
    };
    let pressed = reader
        .get(&json, "actions")
        .map(Json::items)
        .unwrap_or_default();
    let [action] = pressed else {
        return false;
    };
    let id = text(action, &["value"]);
    matches!(
        text(action, &["action_id"]).as_deref(),
        Some("thoughtgate_approve" | "thoughtgate_deny")
    ) && id.is_some_and(|id| {
        let id = id.strip_prefix("tg-").unwrap_or_default();
        id.len() == 32 && id.bytes().all(|byte| b"0123456789abcdef".contains(&byte))
    }) && text(&json, &["type"]).as_deref() == Some("block_actions")
        // As the generator writes them: what else is an id is for the product to say.
        && [
            (&["user", "id"][..], "U1"),
            (&["container", "channel_id"], "C1"),
            (&["container", "message_ts"], "1.2"),
        ]
        .iter()
        .all(|(path, expected)| text(&json, path).as_deref() == Some(*expected))
}

/// The first field `payload` of the form, as JSON.
fn payload_of(body: &[u8]) -> Option<Json> {
    let field = body
        .split(|byte| *byte == b'&')
        .find_map(|field| field.strip_prefix(b"payload="))?;
    let mut bytes = Vec::new();
    let mut rest = field;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
                let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
                bytes.push(u8::from_str_radix(hex.then_some(digits)?, 16).ok()?);
                rest = &rest[2..];
            }
            plain => bytes.push(*plain),
        }
    }
    json::parse(&String::from_utf8(bytes).ok()?)
}

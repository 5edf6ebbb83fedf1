//! Request state that clients carry: only what was sealed for the same principal and has not expired
//! opens, and nothing opens that was altered by a byte.

use thoughtgate_approval::{CARRIED_BYTES_MAX, Sealed, Sealer, UnsealError, digest};

use super::target::{Check, Target, choices, kind};
use crate::random::Random;

pub const TARGET: Target = Target {
    name: "seal",
    generate,
    check: || {
        let sealer = || Sealer::new(&[7; 32]).ok_or_else(|| anyhow::anyhow!("no sealer"));
        let (sealer, other) = (sealer()?, Sealer::new(&[8; 32]));
        let other = other.ok_or_else(|| anyhow::anyhow!("no sealer"))?;
        Ok(Box::new(move |input: &[u8]| check(&sealer, &other, input)) as Check)
    },
};

/// A principal, and a text that claims to be a request state.
fn generate(random: &mut Random) -> Vec<u8> {
    let principal = random.pick(&[
        "agent", "", "a\0b", "\u{212a}", "agent ", "Agent", "agent\0",
    ]);
    let length = [0, 1, 12, 84, 168, 400, 20_000][random.below(7)];
    let digits: String = (0..length)
        .map(|_| char::from(b"0123456789abcdefABCDEF"[random.below(22)]))
        .collect();
    let prefix = random.pick(&["thoughtgate-", "", "thoughtgate", "THOUGHTGATE-"]);
    format!("{principal}\n{prefix}{digits}").into_bytes()
}

fn check(sealer: &Sealer, other_key: &Sealer, input: &[u8]) -> Result<u64, String> {
    let text = String::from_utf8_lossy(input);
    let (principal, claimed) = text.split_once('\n').unwrap_or((&text, ""));
    let mut random = choices(input);
    let expires_ms = [0, 1, 1_000_000, u64::MAX][random.below(4)];
    let content = Sealed {
        id: random_id(&mut random)?,
        digest: digest(principal, claimed, None),
        expires_ms,
        carried: claimed.as_bytes()[..claimed.len().min(CARRIED_BYTES_MAX)].to_vec(),
    };
    let state = sealer
        .seal(&content, principal)
        .ok_or("not sealed: no random bytes")?;
    // Among them the last moment at which the state is valid, and the first at which it is not.
    for now in [0, expires_ms.saturating_sub(1), expires_ms, u64::MAX] {
        let opened = sealer.unseal(&state, principal, now);
        let expected = if now < expires_ms {
            Ok(content.clone())
        } else {
            Err(UnsealError::Expired)
        };
        if opened != expected {
            return Err(format!(
                "opens wrongly: {opened:?} at {now}, sealed until {expires_ms}"
            ));
        }
    }
    for other in [
        "agent",
        "",
        &format!("{principal}\0"),
        &principal.to_uppercase(),
        claimed,
    ] {
        if other != principal && sealer.unseal(&state, other, 0).is_ok() {
            return Err(format!(
                "opens for another: sealed for {principal:?}, opened for {other:?}"
            ));
        }
    }
    if other_key.unseal(&state, principal, 0).is_ok() {
        return Err("opens with another key".to_owned());
    }
    let foreign = sealer.unseal(claimed, principal, 0);
    if foreign.is_ok() {
        return Err("opens: a text that was never sealed".to_owned());
    }
    for _ in 0..8 {
        let altered = alter(&state, &mut random);
        if altered != state && sealer.unseal(&altered, principal, 0).is_ok() {
            return Err(format!("opens altered: {altered} for {state}"));
        }
    }
    Ok(kind(format!("{foreign:?} {}", principal.is_ascii())))
}

fn random_id(random: &mut Random) -> Result<thoughtgate_approval::Id, String> {
    let digits: String = (0..32)
        .map(|_| char::from(b"0123456789abcdef"[random.below(16)]))
        .collect();
    thoughtgate_approval::Id::parse(&format!("tg-{digits}"))
        .ok_or_else(|| format!("not an id: {digits}"))
}

/// One byte changed, left out, added or in the other case.
fn alter(state: &str, random: &mut Random) -> String {
    let mut bytes = state.as_bytes().to_vec();
    let at = random.below(bytes.len());
    match random.below(5) {
        0 => bytes[at] = b"0123456789abcdef"[random.below(16)],
        1 => bytes[at] = bytes[at].to_ascii_uppercase(),
        2 => bytes[at] = b' ' + bytes[at] % 90,
        3 => {
            bytes.remove(at);
        }
        _ => bytes.insert(at, b'0'),
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

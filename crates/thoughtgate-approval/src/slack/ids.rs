//! Forms of Slack's ids. Whether an id exists is not known here.

/// Longest id that is accepted; Slack's have about ten characters.
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

pub(super) fn is_group(text: &str) -> bool {
    is_id(text, &['S'])
}

/// Whether `text` is an id and not a name: names of channels are lower case.
pub(super) fn is_channel_id(text: &str) -> bool {
    is_id(text, &['C', 'G', 'D'])
}

/// Longest name of a channel.
const NAME_CHARACTERS_MAX: usize = 80;

/// Whether `text` can be a channel: an id, of a person for direct messages, or a name.
pub(super) fn is_channel(text: &str) -> bool {
    let name = text.strip_prefix('#').unwrap_or(text);
    let is_part =
        |part: char| (part.is_alphanumeric() && !part.is_uppercase()) || "-_".contains(part);
    let is_name = !name.is_empty()
        && name.chars().count() <= NAME_CHARACTERS_MAX
        && name.chars().all(is_part);
    is_channel_id(text) || is_id(text, &['U', 'W']) || is_name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_told_from_names() {
        assert!(is_channel_id("C0123456789") && is_channel_id("G1"));
        assert!(!is_channel_id("#approvals") && !is_channel_id("C") && !is_channel_id("Cafe"));
        for channel in [
            "C0123456789",
            "U0123",
            "#approvals",
            "team-7_ops",
            "#öffentlich",
        ] {
            assert!(is_channel(channel), "{channel}");
        }
        for other in [
            "",
            "#",
            "#Approvals",
            "##a",
            "two words",
            "a.b",
            "xoxb-1-A",
            "https://x",
        ] {
            assert!(!is_channel(other), "{other}");
        }
        assert!(is_person_or_group("U0123") && is_person_or_group("S0123"));
        assert!(!is_person_or_group("@alice") && !is_person_or_group(""));
    }
}

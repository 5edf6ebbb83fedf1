//! Names of reactions, as settings give them and as Slack lists them. Does not know what a reaction
//! means: settings and `judge.rs` do.

/// Whether `name` can be the name of a reaction: no colons around it, no skin tone, no emoji itself.
pub(super) fn is_reaction(name: &str) -> bool {
    let is_part = |part: char| {
        (part.is_alphanumeric() && !part.is_ascii_uppercase()) || "_-+'".contains(part)
    };
    !name.is_empty() && name.chars().all(is_part)
}

/// The name by which Slack lists a reaction, without its skin tone, which does not change a vote.
pub(super) fn canonical(name: &str) -> &str {
    match name.split("::").next().unwrap_or_default() {
        "thumbsup" => "+1",
        "thumbsdown" => "-1",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_what_slack_never_lists() {
        for name in [
            "white_check_mark",
            "+1",
            "-1",
            "u6307",
            "man-gesturing-no",
            "ja_önskan",
        ] {
            assert!(is_reaction(name), "{name}");
        }
        for name in ["", ":x:", "✅", "Approve", "+1::skin-tone-2", "thumbs up"] {
            assert!(!is_reaction(name), "{name}");
        }
    }

    #[test]
    fn aliases_and_skin_tones_do_not_matter() {
        assert_eq!(canonical("thumbsup"), canonical("+1::skin-tone-3"));
        assert_eq!(canonical("thumbsdown::skin-tone-6"), "-1");
        assert_eq!(canonical("x"), "x");
    }
}

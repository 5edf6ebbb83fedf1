//! All mistakes of a configuration file, where a parser stops at the first one, and what can be read of it.
//!
//! Each setting of the file is parsed on its own: everything else in the text is blanked out, so that the
//! mistake keeps its place. Used only for a file that is refused anyway. Knows no types: `yaml.rs` does.

use anyhow::anyhow;
use thoughtgate_policy::nearest;

use super::outline::{Kind, Node, outline};
use super::{Config, yaml};
use crate::mistakes::Mistakes;
use crate::overlay::{SETTINGS, find};

mod part;

use part::{Kept, Part, inner, next_start};

/// More mistakes, or entries to look at, help nobody; each takes a parse of the file.
const MAX: usize = 100;

/// What a file with mistakes has.
pub struct Partial {
    /// The settings that can be read.
    pub config: Config,
    pub mistakes: Mistakes,
    /// Paths of the settings that cannot; empty for all of the file.
    pub unread: Vec<String>,
}

/// The parts of `text`, of which `first` is the mistake that its parser stops at.
pub fn partial(text: &str, first: String) -> Partial {
    let mut found = Mistakes::default();
    let mut unread = Vec::new();
    let mut good = Kept::default();
    let characters: Vec<char> = text.chars().collect();
    let root = outline(text).filter(|root| matches!(root.kind, Kind::Mapping(..)));
    if let Some(root) = &root {
        let mut entries = Vec::new();
        let whole = Part::whole(&characters);
        collect(root, "", &whole, &mut entries, &mut found, &mut unread);
        for (number, entry) in entries.iter().enumerate() {
            let result = yaml::parse::<Config>(&entry.part.kept.of(&characters));
            match result {
                _ if number >= MAX => unread.push(entry.path.clone()),
                Ok(_) => good.add(&entry.part.kept),
                Err(fault) => {
                    note(entry, &fault.to_string(), &characters, &mut found);
                    unread.extend(meant(&entry.path));
                }
            }
        }
    }
    // What no entry has on its own: a syntax error, or a key that is there twice.
    if !(first.contains(yaml::DUPLICATE) && found.any(|known| known.contains(yaml::DUPLICATE))) {
        found.add(first);
    }
    let config = match &root {
        Some(_) if good.is_empty() => Ok(Config::default()),
        Some(_) => yaml::parse(&good.of(&characters)),
        None => Err(anyhow!("nothing can be read")),
    };
    // The other part may have anchors that this one needs.
    let config = config.unwrap_or_else(|_| {
        unread = vec![String::new()];
        Config::default()
    });
    Partial {
        config,
        mistakes: found,
        unread,
    }
}

/// Adds the mistakes of one setting's value: of each of its entries, or else of the whole.
fn note(entry: &Entry<'_>, fault: &str, characters: &[char], found: &mut Mistakes) {
    let mut parts = Vec::new();
    if find(&entry.path).is_some() {
        inner(entry.value, &entry.part, true, characters, &mut parts);
    }
    let mut any = false;
    for part in parts.iter().take(MAX) {
        if let Err(fault) = yaml::parse::<Config>(&part.kept.of(characters)) {
            let fault = fault.to_string();
            // Of a text that was cut apart where it cannot be.
            if fault.ends_with(yaml::UNDEFINED) || fault.contains(yaml::SYNTAX) {
                continue;
            }
            any = true;
            found.add(fault);
        }
    }
    // An anchor may be in the part that is blanked out.
    if !any && !fault.ends_with(yaml::UNDEFINED) {
        found.add(fault);
    }
}

/// The setting that `path` is, or that its author probably means.
fn meant(path: &str) -> Option<String> {
    let is_section = |path: &str| SETTINGS.iter().any(|setting| is_below(&setting.path, path));
    if find(path).is_some() || is_section(path) {
        return Some(path.to_owned());
    }
    let (section, name) = path.rsplit_once('.').unwrap_or(("", path));
    let names = SETTINGS
        .iter()
        .filter(|setting| section.is_empty() || is_below(&setting.path, section));
    let names = names.filter_map(|setting| {
        let rest = if section.is_empty() {
            Some(setting.path.as_str())
        } else {
            setting.path.strip_prefix(section)?.strip_prefix('.')
        };
        rest?.split('.').next()
    });
    let name = nearest(name, names)?;
    Some(if section.is_empty() {
        name.to_owned()
    } else {
        format!("{section}.{name}")
    })
}

/// Whether the setting `path` is in `section`.
fn is_below(path: &str, section: &str) -> bool {
    path.strip_prefix(section)
        .is_some_and(|rest| rest.starts_with('.'))
}

/// A setting of the file.
struct Entry<'n> {
    path: String,
    value: &'n Node,
    part: Part,
}

/// Adds the settings below `node`, which is the value of the section `path`.
fn collect<'n>(
    node: &'n Node,
    path: &str,
    part: &Part,
    entries: &mut Vec<Entry<'n>>,
    found: &mut Mistakes,
    unread: &mut Vec<String>,
) {
    let Kind::Mapping(style, all) = &node.kind else {
        return;
    };
    for (number, (name, start, value)) in all.iter().enumerate() {
        let prefix = if path.is_empty() {
            String::new()
        } else {
            format!("{path}.")
        };
        let below = format!("{prefix}{name}");
        if all.iter().take(number).any(|(earlier, ..)| earlier == name) {
            found.add(yaml::duplicate(*start, path, name));
            unread.push(below);
            continue;
        }
        let part = part.entry(
            node,
            *style,
            (start.index, next_start(node, part, number, all)),
        );
        let is_section = SETTINGS
            .iter()
            .any(|setting| is_below(&setting.path, &below));
        match &value.kind {
            Kind::Mapping(_, inner) if is_section && !inner.is_empty() => {
                collect(value, &below, &part, entries, found, unread);
            }
            _ => entries.push(Entry {
                path: below,
                value,
                part,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All mistakes of a file.
    fn all(text: &str) -> Vec<String> {
        let first = yaml::parse::<Config>(text).unwrap_err().to_string();
        let error = anyhow::Error::new(partial(text, first).mistakes);
        crate::mistakes::lines(&error)
    }

    #[test]
    fn every_setting_has_its_own_mistake() {
        let found = all("\
# é
listen: SECRET  # SECRET
upstream:
  url: http://a/mcp
  nam: SECRET
limits: {depth: x, body_bytes: 5, connections: -1}
timeouts:
  head: 30
  # a comment
  body: 10s

  drain: soon
tool_groups:
  a: [b]
  c: SECRET
approval:
  slack:
    approvers: SECRET
    channel: C0
audit: stdout
lsten: SECRET
workers: 3
");
        let expected = [
            "line 2, column 9: `listen`: ",
            "line 5, column 3: `upstream`: unknown key `nam`; did you mean `name`? ",
            "line 6, column 17: `limits.depth`: ",
            "line 6, column 48: `limits.connections`: ",
            "line 8, column 3: `timeouts.head`: expected a duration with its unit",
            "line 12, column 3: `timeouts.drain`: ",
            "line 15, column 6: `tool_groups`: ",
            "line 18, column 16: `approval.slack.approvers`: ",
            "line 21, column 1: unknown key `lsten`; did you mean `listen`? ",
        ];
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{found}\n{expected}");
        }
        assert!(!found.concat().contains("SECRET"), "{found:?}");
    }

    #[test]
    fn the_first_mistake_is_never_lost() {
        for text in [
            "workers: 1\nworkers: 2\n",
            "a: [",
            "- a",
            "workers: &a x\nlimits: {depth: *a}\n",
            "upstream: *a\n",
            "? [a]\n: b\n",
            "{a: {b: c}, listen: x}",
            "workers: x\nworkers: 2\n",
        ] {
            let first = yaml::parse::<Config>(text).unwrap_err().to_string();
            assert!(all(text).contains(&first), "{text}");
        }
    }

    #[test]
    fn entries_of_one_setting_have_mistakes_of_their_own() {
        let found = all("\
tool_groups: {a: b, c: [[d], e, [f]], g: [h]}
allowed_hosts: [[a], b, {c: d}]
agent:
  jwt:
    claims: {a: sett, b: set, c: {path: [d]}}
listen: 127.0.0.1:1
listen: 127.0.0.1:2
workers: x
");
        let places: Vec<&str> = found
            .iter()
            .map(|line| line.split(": ").next().unwrap())
            .collect();
        for place in [
            "line 1, column 18",
            "line 1, column 25",
            "line 1, column 33",
            "line 2, column 17",
            "line 2, column 25",
            "line 7, column 1",
            "line 8, column 10",
        ] {
            assert!(places.contains(&place), "{place}\n{found:#?}");
        }
        assert_eq!(
            places
                .iter()
                .filter(|place| place.starts_with("line 5"))
                .count(),
            2,
            "{found:#?}"
        );
        assert_eq!(found.len(), 9, "{found:#?}");
    }

    #[test]
    fn items_behind_dashes_have_mistakes_of_their_own() {
        for indent in ["", "  ", "    "] {
            let text = format!(
                "agent:\n  id: a\nallowed_hosts:\n{indent}- [x]\n{indent}- good\n\
                 {indent}# a comment - [y]\n{indent}- a: b\n{indent}  c: d\n{indent}- 'e - f'\n{indent}-   - g\n\
                 policy: p\n"
            );
            let found = all(&text);
            let lines: Vec<&str> = found
                .iter()
                .map(|line| line.split(',').next().unwrap())
                .collect();
            assert_eq!(lines, ["line 4", "line 7", "line 10"], "{text}{found:#?}");
            assert!(
                found
                    .iter()
                    .all(|line| line.ends_with("expected a single value")),
                "{found:#?}"
            );
        }
    }

    #[test]
    fn what_can_be_read_is_read_and_the_rest_is_named() {
        let text = "\
upstream: {url: http://a/mcp, nam: x}
limits: {depth: x, body_bytes: 5}
timeuts: {head: 5s}
listen: here
workers: 3
";
        let first = yaml::parse::<Config>(text).unwrap_err().to_string();
        let Partial { config, unread, .. } = partial(text, first);
        assert_eq!(config.upstream.url.as_deref(), Some("http://a/mcp"));
        assert_eq!((config.limits.body_bytes, config.workers), (5, Some(3)));
        assert_eq!(
            unread,
            ["upstream.name", "limits.depth", "timeouts", "listen"]
        );
        let nothing = partial("- a", String::new());
        assert_eq!(
            (nothing.config, nothing.unread),
            (Config::default(), vec![String::new()])
        );
    }
}

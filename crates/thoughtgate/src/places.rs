//! Where each setting was given: file, line and column, variable, or flag; and which could not be read.
//!
//! A mistake names its setting in backticks, as its author would search for it. By that name it gets its place,
//! whichever part found it, and is left out if it only follows from a setting that could not be read.

use std::collections::BTreeMap;

use anyhow::Error;

use crate::config::outline::{Kind, Node};
use crate::mistakes::{Mistakes, lines};
use crate::overlay::SETTINGS;

/// Words before the position, from 1, of an item in a list.
const ITEM: [&str; 3] = ["item ", "approver ", "reaction "];

/// Sections of which the presence alone says something: that there is an audit, and that tokens are verified.
const SWITCHES: [&str; 2] = ["audit", "agent.jwt"];

/// The places of the settings that were given.
#[derive(Debug, Default)]
pub struct Places {
    /// By path; an item of a list by its position, from 0, as in `allowed_hosts[1]`.
    given: BTreeMap<String, Origin>,
    /// Settings of a file without a value, and sections without which something is switched off.
    empty: Vec<String>,
    /// Paths that could not be read; an empty one stands for the whole file.
    unread: Vec<String>,
}

#[derive(Debug)]
enum Origin {
    /// File, line and column, in words.
    File(String),
    /// A variable or a flag, which override a file.
    Other(String),
}

impl Places {
    /// The places in the file that errors call `file`.
    pub fn add_file(&mut self, file: &str, root: &Node) {
        self.add_entries(file, "", root);
    }

    fn add_entries(&mut self, file: &str, path: &str, node: &Node) {
        let mut add = |path: &str, node: &Node| {
            let (line, column) = (node.start.line, node.start.column);
            let place = format!("{file}, line {line}, column {column}");
            self.given.insert(path.to_owned(), Origin::File(place));
        };
        match &node.kind {
            Kind::Mapping(_, entries) => {
                if entries.is_empty() && SWITCHES.contains(&path) {
                    self.empty.push(path.to_owned());
                }
                for (name, start, value) in entries {
                    let below = if path.is_empty() {
                        name.clone()
                    } else {
                        format!("{path}.{name}")
                    };
                    if is_name(&below) {
                        let place = format!("{file}, line {}, column {}", start.line, start.column);
                        self.given.insert(below.clone(), Origin::File(place));
                        self.add_entries(file, &below, value);
                    }
                }
            }
            Kind::List(_, items) => {
                for (at, item) in items.iter().enumerate() {
                    add(&format!("{path}[{at}]"), item);
                }
            }
            // Its place stays that of its key.
            Kind::Null => self.empty.push(path.to_owned()),
            Kind::Single => {
                add(path, node);
                // `audit: FILE` is short for `audit: {file: FILE}`.
                let file_of = format!("{path}.file");
                if is_name(&file_of) {
                    add(&file_of, node);
                }
            }
        }
    }

    /// Notes that a variable or flag, `source` in words, sets `path`, whatever the file has.
    pub fn set(&mut self, path: &str, source: String) {
        let items = format!("{path}[");
        self.given.retain(|known, _| !known.starts_with(&items));
        self.unread
            .retain(|unread| unread != path && !unread.starts_with(&items));
        self.given.insert(path.to_owned(), Origin::Other(source));
    }

    /// Notes that `path` could not be read, and that mistakes which follow from it are left out.
    pub fn forget(&mut self, path: impl Into<String>) {
        let path = path.into();
        if let Some(Origin::Other(_)) = self.given.get(&path) {
            self.given.remove(&path);
        }
        self.unread.push(path);
    }

    /// The settings and sections of files that are given without a value, and are set nowhere else.
    pub fn empty(&self) -> impl Iterator<Item = &str> {
        let set = |section: &str| {
            self.given.iter().any(|(path, origin)| {
                matches!(origin, Origin::Other(_)) && (path == section || is_below(path, section))
            })
        };
        let empty = self.empty.iter().map(String::as_str);
        empty.filter(move |path| !self.is_unread(path) && !set(path))
    }

    /// Whether the value of the setting `path` could not be read.
    #[must_use]
    pub fn is_unread(&self, path: &str) -> bool {
        if let Some(Origin::Other(_)) = self.given.get(path) {
            return false;
        }
        self.unread.iter().any(|unread| {
            unread.is_empty() || unread == path || is_below(path, unread) || is_below(unread, path)
        })
    }

    /// The mistakes in `error`, each with the place of its setting, without those that only follow from a
    /// setting that could not be read.
    #[must_use]
    pub fn locate(&self, error: &Error) -> Error {
        self.locate_others(error, |_| false)
    }

    /// As [`Places::locate`], but mistakes that have a place of their own keep it.
    #[must_use]
    pub fn locate_others(&self, error: &Error, has_place: impl Fn(&str) -> bool) -> Error {
        let located = self.relevant(error).map(|line| {
            if has_place(&line) {
                line
            } else {
                self.located(&line)
            }
        });
        Error::new(located.collect::<Mistakes>())
    }

    /// The mistake `error` with the place of `setting`, which it does not name.
    #[must_use]
    pub fn locate_at(&self, setting: &str, error: &Error) -> Error {
        let place = self
            .given
            .get(setting)
            .map(|origin| format!("{}: ", origin.words()));
        let place = place.unwrap_or_default();
        let located = lines(error)
            .into_iter()
            .map(|line| format!("{place}{line}"));
        Error::new(located.collect::<Mistakes>())
    }

    /// The mistakes in `error` that do not follow from a setting that could not be read.
    fn relevant(&self, error: &Error) -> impl Iterator<Item = String> {
        lines(error).into_iter().filter(|line| {
            let item = item(line);
            !names(line).any(|name| {
                let item = item.map(|at| format!("{name}[{at}]"));
                self.is_unread(name) || item.is_some_and(|item| self.unread.contains(&item))
            })
        })
    }

    /// `mistake` with the place of the first setting in it that was given, or else of the section that lacks
    /// one.
    fn located(&self, mistake: &str) -> String {
        let item = item(mistake).and_then(|at| {
            let item = format!("{}[{at}]", names(mistake).next()?);
            self.given.get(&item)
        });
        let given = names(mistake).find_map(|name| self.given.get(name));
        let section = || {
            names(mistake).find_map(|name| {
                let sections = name.match_indices('.').rev().map(|(end, _)| &name[..end]);
                sections
                    .into_iter()
                    .find_map(|section| self.given.get(section))
            })
        };
        match item.or(given).or_else(section) {
            Some(origin) => format!("{}: {mistake}", origin.words()),
            None => mistake.to_owned(),
        }
    }
}

impl Origin {
    fn words(&self) -> &str {
        let (Origin::File(words) | Origin::Other(words)) = self;
        words
    }
}

/// The settings and sections that `mistake` names in backticks.
fn names(mistake: &str) -> impl Iterator<Item = &str> {
    let quoted = mistake.split('`').skip(1).step_by(2);
    quoted.filter(|name| is_name(name))
}

/// The position, from 0, of the item that `mistake` is about.
fn item(mistake: &str) -> Option<usize> {
    let number = |word: &&str| {
        let (_, rest) = mistake.split_once(*word)?;
        let digits = rest.split(|letter: char| !letter.is_ascii_digit()).next()?;
        digits.parse::<usize>().ok()?.checked_sub(1)
    };
    ITEM.iter().find_map(number)
}

/// Whether `path` is a setting or a section.
fn is_name(path: &str) -> bool {
    SETTINGS
        .iter()
        .any(|setting| setting.path == path || is_below(&setting.path, path))
}

/// Whether `path` is in `section`.
fn is_below(path: &str, section: &str) -> bool {
    path.strip_prefix(section)
        .is_some_and(|rest| rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::outline::outline;

    fn places(text: &str) -> Places {
        let mut places = Places::default();
        places.add_file("FILE", &outline(text).unwrap());
        places
    }

    fn located(places: &Places, mistake: &str) -> Vec<String> {
        lines(&places.locate(&anyhow::anyhow!(mistake.to_owned())))
    }

    #[test]
    fn every_setting_has_a_place() {
        for (number, setting) in SETTINGS.iter().enumerate() {
            let path = &setting.path;
            let flow = format!("{{{}: ", path.replace('.', ": {"));
            let ends = "}".repeat(path.split('.').count());
            let text = format!("{}{flow}a{ends}\n", "\n".repeat(number));
            let (line, column) = (number + 1, flow.len() + 1);
            let mistake = format!("`{path}` is bad");
            let expected = format!("FILE, line {line}, column {column}: {mistake}");
            assert_eq!(located(&places(&text), &mistake), [expected]);
        }
    }

    #[test]
    fn a_mistake_gets_the_place_of_the_setting_that_was_given() {
        let mut places = places(
            "# é\nallowed_hosts: [a, 'b']\napproval:\n  slack:\n    approvers:\n    - U1\n    - x\nlimits: {body_bytes: 1}\naudit: a\n",
        );
        for (mistake, place) in [
            (
                "`allowed_hosts`: item 2 of 2 is bad",
                "FILE, line 2, column 20: ",
            ),
            ("`allowed_hosts` is bad", "FILE, line 2, column 1: "),
            (
                "`approval.slack.approvers`: approver 2 of 2",
                "FILE, line 7, column 7: ",
            ),
            (
                "`approval.slack` needs `channel`",
                "FILE, line 4, column 3: ",
            ),
            (
                "`approval.slack.channel` is missing",
                "FILE, line 4, column 3: ",
            ),
            (
                "`limits.buffered_bytes` is less than `limits.body_bytes`",
                "FILE, line 8, column 22: ",
            ),
            (
                "item 1 of `audit.arguments` and `audit.file`",
                "FILE, line 9, column 8: ",
            ),
            ("`listen` is bad", ""),
            ("nothing of `these` is a setting", ""),
        ] {
            assert_eq!(located(&places, mistake), [format!("{place}{mistake}")]);
        }
        places.set("allowed_hosts", "variable `V`".to_owned());
        let mistake = "`allowed_hosts`: item 2 of 2 is bad";
        assert_eq!(
            located(&places, mistake),
            [format!("variable `V`: {mistake}")]
        );
    }

    #[test]
    fn what_follows_from_an_unread_setting_is_left_out() {
        let mut places = places("allowed_hosts: [a, b]\n");
        places.forget("approval.slack.token");
        places.forget("limits");
        places.forget("allowed_hosts[1]");
        for dropped in [
            "`approval` needs `slack.token`",
            "`approval.slack.token` is bad",
            "`limits.depth` is bad",
            "`workers` depends on `limits.depth`",
            "`allowed_hosts`: item 2 of 2 is bad",
        ] {
            assert_eq!(located(&places, dropped), [""; 0], "{dropped}");
        }
        for kept in ["`approval.slack.channel` is bad", "`workers` is bad"] {
            assert_eq!(located(&places, kept), [kept]);
        }
        assert_eq!(
            located(&places, "`allowed_hosts`: item 1 of 2 is bad").len(),
            1
        );
        places.set("limits.depth", "flag `F`".to_owned());
        assert_eq!(
            located(&places, "`limits.depth` is bad"),
            ["flag `F`: `limits.depth` is bad"]
        );
        assert!(!places.is_unread("limits.depth") && places.is_unread("limits.connections"));
        places.forget("");
        assert!(places.is_unread("listen") && !places.is_unread("limits.depth"));
    }
}

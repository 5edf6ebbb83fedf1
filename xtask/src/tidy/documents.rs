//! The commands that the documents and workflows name exist, with the flags that they name.

use clap::CommandFactory as _;

use super::{File, check, file};
use crate::flags::Flags;
use crate::workspace;

const DOCUMENTS: &[&str] = &[
    "README.md",
    "docs/performance.md",
    "CLAUDE.md",
    ".ci/run",
    ".github/workflows/ci.yml",
];

#[test]
fn commands_in_documents_exist() {
    let documents: Vec<File> = DOCUMENTS.iter().filter_map(|path| file(path)).collect();
    check(&documents, |file| unknown_commands(&file.text));
}

#[test]
fn scripts_in_documents_exist() {
    let documents: Vec<File> = DOCUMENTS.iter().filter_map(|path| file(path)).collect();
    check(&documents, |file| {
        let scripts = file.text.match_indices("bash ").map(|(start, word)| {
            let rest = &file.text[start + word.len()..];
            rest.split(['`', ' ', '\n']).next().unwrap_or_default()
        });
        let missing = scripts.filter(|path| path.contains('/') && !path.starts_with('/'));
        let root = workspace::root().unwrap();
        let missing = missing.filter(|path| !root.join(path).exists());
        missing
            .map(|path| format!("`{path}` does not exist"))
            .collect()
    });
}

#[test]
fn the_rules_find_what_they_forbid() {
    let text = "`cargo xtask metrics [--tier 1\\|2\\|3\\|all]` and `cargo xtask metrics merge FILE…`\n\
                `cargo xtask …` `cargo xtask test -- --nocapture`\ncargo xtask ci   # all\n\
                cargo xtask metrics --tier all --output=x.json --quick\n";
    assert_eq!(unknown_commands(text), Vec::<String>::new());
    assert_eq!(unknown_commands("`cargo xtask metric`").len(), 1);
    assert_eq!(unknown_commands("`cargo xtask metrics merg FILE`").len(), 1);
    assert_eq!(unknown_commands("`cargo xtask metrics --teir 1`").len(), 1);
    assert_eq!(
        unknown_commands("`cargo xtask metrics merge --across-hosts --teir`").len(),
        1
    );
}

fn unknown_commands(text: &str) -> Vec<String> {
    let mentions = text.match_indices("cargo xtask ").map(|(start, prefix)| {
        let rest = &text[start + prefix.len()..];
        rest.split(['`', '\n', '#'])
            .next()
            .unwrap_or_default()
            .trim()
    });
    mentions
        .filter_map(|mention| {
            let unknown = unknown_word(mention)?;
            Some(format!("`cargo xtask {mention}`: unknown `{unknown}`"))
        })
        .collect()
}

/// The first word of `mention` that is neither a command, nor a flag of it, nor a placeholder.
fn unknown_word(mention: &str) -> Option<String> {
    let mut command = Flags::command();
    let mut words = mention
        .split_whitespace()
        .map(|word| word.trim_matches(|c: char| "[]…,.".contains(c)));
    while let Some(word) = words.next() {
        // Arguments behind it are for another program.
        if word == "--" {
            return None;
        }
        if let Some(flag) = word.strip_prefix("--") {
            let (flag, value) = flag
                .split_once('=')
                .map_or((flag, None), |(flag, value)| (flag, Some(value)));
            let known = command
                .get_arguments()
                .find(|argument| argument.get_long() == Some(flag));
            match known {
                // The next word is the value of this flag.
                Some(argument) if argument.get_action().takes_values() && value.is_none() => {
                    words.next();
                }
                None if flag != "help" => return Some(word.to_owned()),
                _ => {}
            }
        } else if let Some(next) = command.find_subcommand(word) {
            command = next.clone();
        } else if is_name(word) && command.has_subcommands() {
            return Some(word.to_owned());
        }
    }
    None
}

/// Placeholders are in capitals, values are numbers or alternatives.
fn is_name(word: &str) -> bool {
    word.len() > 1 && word.chars().all(|c| c.is_ascii_lowercase())
}

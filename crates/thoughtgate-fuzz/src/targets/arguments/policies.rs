//! Generates policies that read arguments in the ways that Cedar offers, and arguments for them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::generate::Writer;
use crate::random::Random;

/// A set of policies that most calls meet with some of.
pub fn generate(random: &mut Random) -> String {
    let mut text = String::new();
    // Every third set is about paths alone: those are held against the file that would be opened.
    let paths_alone = random.one_in(3);
    for number in 0..=random.below(6) {
        // The first policy permits, or else many sets would refuse every call.
        let forbids = number > 0 && random.one_in(3);
        let effect = if forbids { "forbid" } else { "permit" };
        let approve = if !forbids && random.one_in(4) {
            " @approve"
        } else {
            ""
        };
        let principal = random.pick(&[
            "principal",
            "principal",
            "principal == Agent::\"alice\"",
            "principal in Group::\"ops\"",
        ]);
        let resource = random.pick(&[
            "resource",
            "resource == Tool::\"deploy\"",
            "resource in ToolGroup::\"read-only\"",
            "resource == Tool::\"read_file\"",
        ]);
        let clause = clauses(random, paths_alone);
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "@id(\"p{number}\"){approve} {effect} ({principal}, action == Action::\"tools/call\", {resource}){clause};"
        );
    }
    text
}

fn clauses(random: &mut Random, paths_alone: bool) -> String {
    let mut text = String::new();
    for _ in 0..random.below(3) {
        let word = random.pick(&["when", "when", "unless"]);
        let condition = if paths_alone {
            path(random)
        } else {
            condition(random, 2)
        };
        let _ = write!(text, " {word} {{ {condition} }}");
    }
    text
}

fn path(random: &mut Random) -> String {
    let pattern = random.pick(&["/srv/*", "/srv/*.txt", "/*", "/srv/data/*", "/etc/*"]);
    format!("context.arguments has path && context.arguments.path like \"{pattern}\"")
}

fn condition(random: &mut Random, depth: usize) -> String {
    if depth > 0 && random.one_in(2) {
        let (left, right) = (condition(random, depth - 1), condition(random, depth - 1));
        return match random.below(4) {
            0 => format!("({left}) && ({right})"),
            1 => format!("({left}) || ({right})"),
            2 => format!("!({left})"),
            _ => format!("if ({left}) then ({right}) else ({})", condition(random, 0)),
        };
    }
    let number = random.below(12);
    let word = random.pick(&["a", "prod", "", "x y", "\\u{212a}"]);
    let (name, test) = match random.below(14) {
        0 => return path(random),
        1 => ("n", format!("context.arguments.n > {number}")),
        2 => (
            "n",
            format!("context.arguments.n * 1000000000000000000 < {number}"),
        ),
        3 => ("n", format!("context.arguments.n == {number}")),
        4 => ("s", format!("context.arguments.s == \"{word}\"")),
        5 => ("s", format!("context.arguments.s != \"{word}\"")),
        6 => ("s", format!("context.arguments.s like \"*{word}*\"")),
        7 => ("b", "context.arguments.b".to_owned()),
        8 => (
            "tags",
            format!("context.arguments.tags.contains(\"{word}\")"),
        ),
        9 => (
            "tags",
            format!("context.arguments.tags.containsAny([\"{word}\", \"a\"])"),
        ),
        10 => ("tags", "context.arguments.tags.isEmpty()".to_owned()),
        11 => (
            "o",
            format!("context.arguments.o has m && context.arguments.o.m <= {number}"),
        ),
        12 => return "context.now < datetime(\"2026-07-28T12:00:00Z\")".to_owned(),
        _ => return "context.arguments has force".to_owned(),
    };
    // Without the guard, a missing argument is an error: a refusal.
    if random.one_in(8) {
        test
    } else {
        format!("context.arguments has {name} && {test}")
    }
}

/// Arguments of the types that the policies read, or now and then of others.
pub fn arguments(writer: &mut Writer<'_>) -> String {
    let mut members = Vec::new();
    for name in ["path", "n", "s", "b", "tags", "o", "force", "other"] {
        if writer.random.one_in(3) {
            continue;
        }
        let value = if writer.faulty() {
            writer.value(2)
        } else if writer.random.one_in(12) {
            "null".to_owned()
        } else {
            value(writer, name)
        };
        members.push((name.to_owned(), value));
    }
    writer.nested(members)
}

fn value(writer: &mut Writer<'_>, name: &str) -> String {
    let number = writer.random.below(14).to_string();
    let text = writer
        .random
        .pick(&["a", "prod", "", "b", "\u{212a}", "x y", "\\", "*"]);
    match name {
        "path" => {
            let path = writer.random.pick(&[
                "/srv/a.txt",
                "/srv/data/b",
                "/etc/passwd",
                "/srv/../etc/passwd",
                "/srv/./a",
                "/srv//a",
                "/srv/%2e%2e/etc/passwd",
                "/srv\\..\\etc",
                "srv/a",
                "~/a",
                "/srv/..",
                "/srv/a\0/../..",
                "/srv/...",
                "/srv/data/..txt",
                "/srv/%252e%252e/x",
            ]);
            writer.text(path)
        }
        "n" => match writer.random.below(4) {
            0 => format!("{number}.0"),
            1 => format!("{number}.0E0"),
            _ => number,
        },
        "b" | "force" => writer.random.pick(&["true", "false"]).to_owned(),
        "tags" => {
            let items: Vec<String> = (0..writer.random.below(4))
                .map(|_| writer.text(text))
                .collect();
            format!("[{}]", items.join(","))
        }
        "o" => writer.nested(vec![
            ("m".to_owned(), number),
            ("z".to_owned(), "null".to_owned()),
        ]),
        _ => writer.text(text),
    }
}

/// All words and quoted texts of policies: among them every name that they can read.
pub fn words(policies: &str) -> BTreeSet<String> {
    let word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let names = policies.split(|letter| !word(letter));
    let quoted = policies.split('"').skip(1).step_by(2);
    names
        .chain(quoted)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Whether these policies look at `path` with absolute patterns only, and at no other argument.
pub fn tests_paths_alone(policies: &str) -> bool {
    let mut reads = policies.match_indices("context.").peekable();
    reads.peek().is_some()
        && reads.all(|(at, _)| {
            let rest = &policies[at..];
            rest.starts_with("context.arguments has path &&")
                || rest.starts_with("context.arguments.path like \"/")
        })
}

//! Errors of syntax and of types, as the author of a policy sees them: the place, and what to write instead.

use expect_test::expect;
use thoughtgate_policy::{Engine, Options, Source};

use crate::load;
use crate::load::refused;

#[test]
fn the_place_is_named() {
    refused(
        r"permit (principal, action, resource);

permit (principal, action resource);",
        &expect!["test.cedar:3:27: unexpected token `resource`"],
    );
    refused(
        "permit (principal, action == Action::\"tools/cal\", resource);",
        &expect![[
            r#"test.cedar:1:30: for policy `policy0@test.cedar`, unrecognized action `Action::"tools/cal"`; did you mean `Action::"tools/call"`?"#
        ]],
    );
    refused(
        "permit (principal, action == Action::\"tools/call\", resource == Tol::\"x\");",
        &expect![
            "test.cedar:1:64: for policy `policy0@test.cedar`, unrecognized entity type `Tol`; did you mean `Tool`?"
        ],
    );
}

#[test]
fn an_argument_that_may_be_absent_must_be_asked_for() {
    refused(
        r#"@id("big") permit (principal, action == Action::"tools/call", resource) when { context.arguments.amount > 5 };"#,
        &expect![[
            r#"test.cedar:1:80: for policy `big`, unable to guarantee safety of access to optional attribute `arguments.amount` in context for Action::"tools/call"; try testing for the attribute's presence with `context.arguments has amount && ..`"#
        ]],
    );
}

/// Every mistake of a file, one per line.
fn all(text: &str) -> String {
    let errors = load(text).err().expect("accepted");
    let lines: Vec<String> = errors.all().iter().map(ToString::to_string).collect();
    lines.join("\n")
}

#[test]
fn all_mistakes_of_all_policies_are_reported_in_order() {
    let found = all(r#"@id("a") permit (principal, action, resource)
@id("b") forbid (principal in Group::"op", action == Action::"tools/cal", resource);
permit (principal == "bob", action == Action::"tools/call", resource);
@id("c") @aprove @team permit (principal, action == Action::"tools/call", resource == Tol::"x") when { context.arguments };
@id("a") permit (principal, action, resource);
@id("d") permit (principal, action == Action::"tools/call", resource) when { context.arguments has n && context.arguments.n < 1 };
@id("e") permit (principal, action == Action::"tools/call", resource) when { context.arguments has n && context.arguments.n == "1" };
@id("f") permit (principal, action, resource)
"#);
    let places: Vec<&str> = found
        .lines()
        .map(|line| line.split(": ").next().unwrap())
        .collect();
    assert_eq!(
        places,
        [
            "test.cedar:1:46",
            "test.cedar:2:31",
            "test.cedar:2:54",
            "test.cedar:3:22",
            "test.cedar:4:1",
            "test.cedar:4:10",
            "test.cedar:5:1",
            "test.cedar:7:105",
            "test.cedar:8:46",
        ],
        "{found}"
    );
    // A mistake in one file hides none in another.
    let source = |name: &str, text: &str| Source {
        name: name.to_owned(),
        text: text.to_owned(),
    };
    let sources = [
        source("b.cedar", "permit (principal"),
        source("a.cedar", "permit () {"),
    ];
    let errors = Engine::load(&sources, &Options::default()).err().unwrap();
    let found: Vec<String> = errors.all().iter().map(ToString::to_string).collect();
    assert!(
        found[0].starts_with("b.cedar:1:") && found[1].starts_with("a.cedar:1:"),
        "{found:?}"
    );
}

/// Fails unless each policy is refused with the text beside it.
fn refused_with(cases: &[(String, &str)]) {
    for (text, expected) in cases {
        let found = all(text);
        assert!(found.contains(expected), "{text}\n{found}");
    }
}

/// A policy with the condition `text`.
fn condition<'e>(text: &str, expected: &'e str) -> (String, &'e str) {
    let before = r#"permit (principal, action == Action::"tools/call", resource)"#;
    (format!("{before} when {{ {text} }};"), expected)
}

/// A policy with `text` behind an argument.
fn read<'e>(text: &str, expected: &'e str) -> (String, &'e str) {
    let before = "context.arguments has x && context.arguments.x";
    condition(&format!("{before}{text}"), expected)
}

#[test]
fn a_mistake_in_a_condition_is_told_with_the_way_out() {
    refused_with(&[
        read(
            ".startsWith(\"a\")",
            "not a valid method; write `… like \"x*\"`",
        ),
        read(".endsWith(\"a\")", "like \"*x\""),
        read(".matches(\"a\")", "there are no regular expressions"),
        read(".upper()", "methods of sets are"),
        read(" in [\"a\", \"b\"]", "[\"a\", \"b\"].contains(…)"),
        read(" == null", "an argument that is null counts as absent"),
        read(" > 1.5", "decimal(\"1.5\")"),
        condition("true and false", "write `&&`"),
        condition("size(\"a\") > 1", "texts and sets have no length"),
        condition("resource == \"deploy\"", "resource.name == \"…\""),
        condition("principal == \"bob\"", "principal == Agent::\"…\""),
        condition(
            "now > datetime(\"2026-01-01\")",
            "the time is `context.now`",
        ),
        condition("context.now > \"2026-01-01\"", "write `datetime("),
        condition("context.now > 5", "`context.now.toTime().toHours()`"),
        condition(
            "context.now.hour > 5",
            "expected an entity, or a record but saw datetime; the hour of the day, in UTC, is \
             `context.now.toTime().toHours()`",
        ),
        condition("context.now.getHours() > 5", ".toTime().toHours()"),
        condition(
            "\"a\" in Tool::\"b\"",
            "expected an entity but saw String; `in` and `is` are for entities",
        ),
        condition("5.contains(3)", "expected a set but saw Long"),
        read(".isInRange(\"10.0.0.0/8\")", "write `ip(\"10.0.0.0/8\")`"),
        read(".lessThan(5)", "write `decimal(\"9.99\")`"),
        condition(
            "context.now.offset(\"1h\") > context.now",
            "write `duration(\"1h30m\")`",
        ),
        condition("context.now.toHours() > 5", ".toTime().toHours()"),
        condition("context.now.toTime() > 5", "duration(\"1h30m\")"),
        read(" < decimal(\"9.99\")", ".lessThan(decimal(\"9.99\"))"),
        condition("decimal(\"9.99\") >= decimal(\"9.9\")", ".lessThan("),
        condition("principal == User::\"a\"", "did you mean `Agent`?"),
        condition("resource != User::\"a\"", "did you mean `Tool`?"),
        condition(
            "[User::\"a\"].contains(principal)",
            "types are `Agent`, `Group`",
        ),
        condition(
            "principal in Grup::\"ops\"",
            "type `Grup`; did you mean `Group`?",
        ),
    ]);
}

#[test]
fn a_habit_from_another_language_is_told_with_the_way_out() {
    refused_with(&[
        condition(
            "context.args has n",
            "there are `context.arguments`, those of a call, and the time, `context.now`",
        ),
        condition("context.argumens has n", "did you mean `arguments`?"),
        condition("resource like \"db_*\"", "`resource.name like \"…*\"`"),
        condition("principal like \"a*\"", "`principal in Group::\"…\"`"),
        condition("principal.id == \"a\"", "`principal == Agent::\"…\"`"),
        read(" < \"2026-12-31\"", "a date is `datetime(\"2026-12-31\")`"),
        read(
            " + decimal(\"1.0\") > 5",
            "decimals are not calculated with",
        ),
        read("[0] == \"a\"", "lists are sets"),
        condition(
            "context.now > context.now ? true : false",
            "write `if … then … else …`",
        ),
        condition("resource == Tool::“a”", "plain quotation marks"),
    ]);
}

#[test]
fn a_mistake_in_a_scope_is_told_with_the_way_out() {
    let principal = |text: &str, expected| {
        (
            format!("permit (principal {text}, action, resource);"),
            expected,
        )
    };
    let resource = |text: &str, expected| {
        (
            format!("permit (principal, action, resource {text});"),
            expected,
        )
    };
    refused_with(&[
        (
            "permit (principal, action, resource)".to_owned(),
            "expected `;` after the policy",
        ),
        (
            "permit (principal, action == \"tools/call\", resource);".to_owned(),
            "`action == Action::\"tools/call\"`",
        ),
        principal("== \"bob\"", "`principal == Agent::\"bob\"`"),
        principal("in \"ops\"", "`principal in Group::\"ops\"`"),
        principal("== User::\"bob\"", "did you mean `Agent`?"),
        principal("is User", "did you mean `Agent`?"),
        principal("in Team::\"ops\"", "did you mean `Group`?"),
        resource("== User::\"bob\"", "did you mean `Tool`?"),
        resource("== Promt::\"bob\"", "did you mean `Prompt`?"),
        resource("in Tools::\"bob\"", "did you mean `ToolGroup`?"),
        resource("is Tool in Tools::\"bob\"", "did you mean `ToolGroup`?"),
        principal("in Agent::\"ops\"", "did you mean `in Group::\"ops\"`?"),
        resource("== \"deploy\"", "`resource == Tool::\"deploy\"`"),
        resource("in [Tool::\"a\"]", "tool_groups"),
        resource("== Agent::\"a\"", "a resource is a `Tool`"),
        resource(
            "in Tool::\"a\"",
            "write `== Tool::\"a\"`, or `in ToolGroup::",
        ),
        resource(
            "in Tool::\"read-only\"",
            "did you mean `in ToolGroup::\"read-only\"`?",
        ),
        resource("is Tool in Tool::\"a\"", "which is not a group"),
    ]);
}

#[test]
fn a_mistake_in_each_kind_of_request_is_one_error() {
    refused(
        "permit (principal, action, resource) when { context.foo == \"x\" };",
        &expect![
            "test.cedar:1:45: for policy `policy0@test.cedar`, attribute `foo` in context not found; did you mean `now`?"
        ],
    );
    refused(
        "permit (principal, action, resource) when { resource.foo == \"x\" };",
        &expect![[
            r#"test.cedar:1:45: for policy `policy0@test.cedar`, attribute `foo` on entity types `Prompt`, `Resource`, `Tool`, `Upstream` not found; tools and prompts have a `name`, resources a `uri`, and the upstream has neither; test the type first, as in `resource is Tool && resource.name like "db_*"`"#
        ]],
    );
}

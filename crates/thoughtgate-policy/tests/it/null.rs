//! `null` for an optional argument: absent at each level, an error as an element.

use thoughtgate_policy::{Engine, Target};

use crate::{ask, call, engine, word};

/// Each tool is forbidden if its condition holds.
fn forbidding(condition: &str) -> Engine {
    engine(&format!(
        "permit (principal, action == Action::\"tools/call\", resource);\n\
         forbid (principal, action == Action::\"tools/call\", resource) when {{ {condition} }};"
    ))
}

#[test]
fn null_is_an_absent_argument_of_each_type() {
    for (condition, present) in [
        ("context.arguments has a", "1"),
        ("context.arguments has a && context.arguments.a", "true"),
        ("context.arguments has a && context.arguments.a > 5", "6"),
        (
            "context.arguments has a && context.arguments.a == \"x\"",
            "\"x\"",
        ),
        (
            "context.arguments has a && context.arguments.a like \"x*\"",
            "\"xy\"",
        ),
        (
            "context.arguments has a && context.arguments.a.contains(\"x\")",
            "[\"x\"]",
        ),
        (
            "context.arguments has a && context.arguments.a.isEmpty()",
            "[]",
        ),
        (
            "context.arguments has a.b && context.arguments.a.b == \"x\"",
            "{\"b\": \"x\"}",
        ),
    ] {
        let engine = forbidding(condition);
        let with = |value: &str| call(&engine, "t", &format!("{{\"a\": {value}, \"z\": 1}}"));
        assert_eq!(with(present), "reject", "{condition}");
        assert_eq!(with("null"), "forward", "{condition}");
        assert_eq!(with(" null\n"), "forward", "{condition}");
    }
}

#[test]
fn null_is_absent_at_each_level_and_for_each_test_of_presence() {
    let engine = forbidding(
        "context.arguments has a.b.c && context.arguments.a.b.c > 5 || \
         !(context.arguments has limit)",
    );
    for (arguments, expected) in [
        (r#"{"limit": 1, "a": {"b": {"c": 6}}}"#, "reject"),
        (r#"{"limit": 1, "a": {"b": {"c": null}}}"#, "forward"),
        (r#"{"limit": 1, "a": {"b": null}}"#, "forward"),
        (r#"{"limit": 1, "a": null}"#, "forward"),
        (r#"{"limit": null}"#, "reject"),
        (r#"{"limit": 1, "other": null}"#, "forward"),
    ] {
        assert_eq!(call(&engine, "t", arguments), expected, "{arguments}");
    }
}

#[test]
fn a_key_that_is_null_once_is_still_ambiguous() {
    let engine = forbidding("context.arguments has force && context.arguments.force");
    for arguments in [
        r#"{"force": null, "force": true}"#,
        r#"{"force": true, "force": null}"#,
        r#"{"force": null, "Force": true}"#,
    ] {
        assert_eq!(call(&engine, "t", arguments), "error", "{arguments}");
    }
}

#[test]
fn null_is_no_element() {
    let engine = forbidding(
        "context.arguments has tags && context.arguments.tags.contains(\"x\") || \
         context.arguments has lists && context.arguments.lists.contains([\"x\"]) || \
         context.arguments has any && context.arguments.any.isEmpty()",
    );
    for (arguments, named) in [
        (r#"{"tags": ["y", null]}"#, "argument `tags`"),
        (r#"{"lists": [["y"], null]}"#, "argument `lists`"),
        (r#"{"lists": [[null]]}"#, "an element of argument `lists`"),
    ] {
        let decision = ask(&engine, "alice", Target::Tool("t"), arguments);
        assert_eq!(word(&decision), "error", "{arguments}");
        let error = decision.error.unwrap();
        let start = format!("{named} has an element that is null, but policies read each");
        assert!(error.starts_with(&start), "{error}");
    }
    // Only counted, whatever they are.
    assert_eq!(call(&engine, "t", r#"{"any": [null]}"#), "forward");
}

#[test]
fn the_arguments_themselves_are_an_object_or_absent() {
    let engine = forbidding("context.arguments has a");
    for absent in ["", "null", "{}"] {
        assert_eq!(call(&engine, "t", absent), "forward", "{absent}");
    }
}

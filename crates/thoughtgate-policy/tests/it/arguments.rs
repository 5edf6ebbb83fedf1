//! Refused arguments: ambiguous keys, sizes over the limits; and errors that quote no argument.

use thoughtgate_policy::{Engine, Target};

use crate::{ask, call, engine, word};

fn reading() -> Engine {
    engine(
        r#"permit (principal, action == Action::"tools/call", resource);
           forbid (principal, action == Action::"tools/call", resource) when {
             context.arguments has path && context.arguments.path == "x" ||
             context.arguments has a.b && context.arguments.a.b == "x" ||
             context.arguments has tags && context.arguments.tags.contains("x") ||
             context.arguments has ids && context.arguments.ids.contains(7) ||
             context.arguments has lists && context.arguments.lists.contains(["x"]) ||
             context.arguments has list && context.arguments.list.isEmpty() ||
             context.arguments has n && context.arguments.n + 1 > 1000 ||
             context.arguments has text && context.arguments.text like "*x*x*x" ||
             context.arguments has anything };"#,
    )
}

/// The reason why `arguments` are refused.
fn refused(engine: &Engine, arguments: &str) -> String {
    let decision = ask(engine, "alice", Target::Tool("t"), arguments);
    let start: String = arguments.chars().take(80).collect();
    assert_eq!(word(&decision), "error", "{start}");
    decision.error.unwrap().to_string()
}

#[test]
fn keys_that_a_server_may_read_as_others() {
    let engine = reading();
    for key in [
        "PATH",
        "Path",
        "p\\u0041th",
        "ｐａｔｈ",
        "pat\\u0068\\u200b",
        "\\ufeffpath",
        "path ",
        "path\\u0000",
        "path\\u0000x",
        "\\u0000",
        "path\\t",
    ] {
        refused(&engine, &format!("{{\"{key}\": \"x\", \"path\": \"y\"}}"));
    }
    for key in ["B", "b\\u0000", "b\\u0000x", "ｂ", "\\u200bb"] {
        let reason = refused(
            &engine,
            &format!("{{\"a\": {{\"{key}\": \"x\", \"b\": \"y\"}}}}"),
        );
        assert!(reason.contains("argument `a`"), "{reason}");
    }
    let kelvin = crate::engine(
        r#"permit (principal, action == Action::"tools/call", resource) unless {
             context.arguments has key && context.arguments.key == "x" };"#,
    );
    refused(&kelvin, r#"{"\u212aey": "x"}"#);
    for other in ["paths", "p", "pa th", "рath", "file_path"] {
        let arguments = format!("{{\"{other}\": \"x\", \"path\": \"y\"}}");
        assert_eq!(call(&engine, "t", &arguments), "forward", "{other}");
    }
}

#[test]
fn keys_that_are_given_twice_at_any_depth() {
    let engine = reading();
    for arguments in [
        r#"{"path": "y", "path": "x"}"#,
        r#"{"path": "y", "p\u0061th": "x"}"#,
        r#"{"a": {"b": "y", "b": "x"}}"#,
        r#"{"a": {"c": 1, "c": 2, "b": "y"}}"#,
        r#"{"unread": {"k": 1, "k": 2}}"#,
        r#"{"unread": [[{"k": {"z": 1, "z": 2}}]]}"#,
        r#"{"unread": 1, "unread": 2}"#,
    ] {
        refused(&engine, arguments);
    }
    assert!(refused(&engine, r#"{"path": "y", "path": "x"}"#).contains("duplicate key `path`"));
    assert_eq!(
        call(&engine, "t", r#"{"unread": {"k": {"k": 1}}}"#),
        "forward"
    );
}

#[test]
fn a_text_that_ends_early_for_some() {
    let engine = reading();
    refused(&engine, r#"{"path": "x\u0000y"}"#);
    refused(&engine, r#"{"tags": ["y", "x\u0000y"]}"#);
    assert_eq!(call(&engine, "t", r#"{"unread": "x\u0000"}"#), "forward");
}

#[test]
fn elements_are_counted_wherever_policies_read() {
    let engine = reading();
    let many = |item: &str, count: usize| vec![item; count].join(",");
    for (arguments, expected) in [
        (
            format!("{{\"tags\": [{}]}}", many("\"y\"", 5_000)),
            "forward",
        ),
        (
            format!("{{\"tags\": [{}]}}", many("\"y\"", 10_001)),
            "error",
        ),
        (format!("{{\"ids\": [{}]}}", many("1", 10_001)), "error"),
        (
            format!("{{\"lists\": [{}]}}", many("[\"y\",\"z\"]", 5_000)),
            "error",
        ),
        (
            format!(
                "{{\"tags\": [{}], \"ids\": [{}]}}",
                many("\"y\"", 6_000),
                many("1", 6_000)
            ),
            "error",
        ),
        (
            format!(
                "{{\"a\": {{{}}}}}",
                (0..10_001)
                    .map(|key| format!("\"k{key}\":0"))
                    .collect::<Vec<_>>()
                    .join(",")
            ),
            "error",
        ),
        // Nothing is made of these, so they are not counted.
        (
            format!("{{\"unread\": [{}]}}", many("{}", 100_000)),
            "forward",
        ),
        (
            format!("{{\"list\": [{}]}}", many("{}", 100_000)),
            "forward",
        ),
        (
            format!("{{\"anything\": [{}]}}", many("{}", 100_000)),
            "reject",
        ),
    ] {
        assert_eq!(
            call(&engine, "t", &arguments),
            expected,
            "{}",
            &arguments[..20]
        );
    }
    let reason = refused(&engine, &format!("{{\"ids\": [{}]}}", many("1", 10_001)));
    assert!(
        reason.contains("argument `ids`") && reason.contains("10000"),
        "{reason}"
    );
}

#[test]
fn a_text_that_is_matched_has_a_greatest_length() {
    let engine = reading();
    let text = |length: usize| format!("{{\"text\": \"{}\"}}", "x".repeat(length));
    assert_eq!(call(&engine, "t", &text(128 * 1024)), "reject");
    assert!(refused(&engine, &text(128 * 1024 + 1)).contains("131072"));
    let compared = text(1 << 20).replace("text", "path");
    assert_eq!(call(&engine, "t", &compared), "forward");
}

#[test]
fn a_text_whose_start_alone_matters_may_have_any_length() {
    let starts = r"context.arguments has text && context.arguments.text like";
    let engine = engine(&format!(
        r#"permit (principal, action == Action::"tools/call", resource)
             when {{ {starts} "é*" || {starts} "éxx**" }};"#
    ));
    for (text, expected) in [
        ("", "reject"),
        ("e", "reject"),
        ("\\u00e9", "forward"),
        ("éx", "forward"),
        (&*format!("é{}", "x".repeat(1 << 20)), "forward"),
        (&*format!("x{}", "é".repeat(1 << 20)), "reject"),
    ] {
        let arguments = format!("{{\"text\": \"{text}\"}}");
        assert_eq!(call(&engine, "t", &arguments), expected, "{}", text.len());
    }
    // The part after the start is checked too.
    refused(&engine, r#"{"text": "éxx\u0000"}"#);
    let paths = crate::engine(
        r#"permit (principal, action == Action::"tools/call", resource)
             when { context.arguments has path && context.arguments.path like "/srv/*" };"#,
    );
    assert_eq!(call(&paths, "t", r#"{"path": "/srv/a"}"#), "forward");
    refused(&paths, r#"{"path": "/srv/a/../../etc"}"#);
}

#[test]
fn a_text_that_another_policy_looks_at_beyond_its_start_is_whole() {
    for other in [
        r#"context.arguments.text == "xyz""#,
        r#"context.arguments.text like "*z""#,
        r#"context.arguments.text like "xyz""#,
        r#"["xyz"].contains(context.arguments.text)"#,
    ] {
        let engine = engine(&format!(
            r#"permit (principal, action == Action::"tools/call", resource)
                 when {{ context.arguments has text && context.arguments.text like "x*" }};
               forbid (principal, action == Action::"tools/call", resource)
                 when {{ context.arguments has text && {other} }};"#
        ));
        let ask = |text: &str| call(&engine, "t", &format!("{{\"text\": \"{text}\"}}"));
        assert_eq!(ask("xyz"), "reject", "{other}");
        assert_eq!(ask("xyzx"), "forward", "{other}");
    }
}

#[test]
fn no_error_quotes_what_the_agent_sent() {
    let engine = reading();
    for arguments in [
        r#"{"path": 424242}"#,
        r#"{"path": {"424242": 1}}"#,
        r#"{"n": "424242"}"#,
        r#"{"n": 424242.5}"#,
        r#"{"n": 424242e400}"#,
        r#"{"n": 9223372036854774242427}"#,
        r#"{"n": 9223372036854775807}"#,
        r#"{"ids": [1, "424242"]}"#,
        r#"{"tags": "424242"}"#,
        r#"{"list": "424242"}"#,
        r#"{"424242": 1, "424242": 2}"#,
        r#"{"path\u0000424242": 1}"#,
        r#"{"unread": {"424242": 1, "424242": 2}}"#,
        r#"{"path": "\ud800424242"}"#,
        r#""424242""#,
        "[424242]",
    ] {
        let reason = refused(&engine, arguments);
        assert!(
            !reason.contains("424242") && !reason.contains("775807"),
            "{reason}"
        );
        assert!(reason.contains('`'), "{reason}");
    }
    let overflow = refused(&engine, r#"{"n": 9223372036854775807}"#);
    assert!(
        overflow.contains("policy1@test.cedar") && overflow.contains("overflows"),
        "{overflow}"
    );
}

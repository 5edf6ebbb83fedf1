//! Decisions: forward, reject, approve, and errors, which are refusals.

use std::sync::Arc;

use thoughtgate_policy::{Outcome, Plain, Target};

use crate::{ask, call, engine, word};

#[test]
fn nothing_is_permitted_without_a_policy_but_the_protocol_itself() {
    let engine = engine("");
    assert_eq!(call(&engine, "list", ""), "reject");
    let decide = |target| word(&ask(&engine, "alice", target, ""));
    for method in ["initialize", "tools/list", "ping", "server/discover"] {
        assert_eq!(decide(Target::Method(method)), "forward", "{method}");
    }
    for plain in Plain::ALL {
        assert_eq!(decide(Target::Plain(plain)), "forward", "{plain:?}");
    }
    for method in [
        "completion/complete",
        "made/up",
        "tools/call",
        "other",
        "protocol",
        "response",
        "stream",
        "session/delete",
        "notifications",
        "notifications/run",
    ] {
        assert_eq!(decide(Target::Method(method)), "reject", "{method}");
    }
    assert_eq!(
        word(&ask(&engine, "alice", Target::Prompt("p"), "")),
        "reject"
    );
    let read = Target::Resource {
        method: "resources/read",
        uri: "file:///etc/passwd",
    };
    assert_eq!(word(&ask(&engine, "alice", read, "")), "reject");
}

#[test]
fn forbid_beats_permit_and_the_baseline() {
    let engine = engine(
        r#"@id("all") permit (principal, action, resource);
           @id("no-rm") forbid (principal, action == Action::"tools/call", resource == Tool::"rm");
           @id("no-list") forbid (principal, action == Action::"tools/list", resource);"#,
    );
    assert_eq!(call(&engine, "list", ""), "forward");
    let denied = ask(&engine, "alice", Target::Tool("rm"), "");
    assert_eq!(word(&denied), "reject");
    assert_eq!(denied.policies.as_ref(), [Arc::from("no-rm")]);
    assert_eq!(
        word(&ask(&engine, "alice", Target::Method("tools/list"), "")),
        "reject"
    );
    assert_eq!(
        word(&ask(&engine, "alice", Target::Method("made/up"), "")),
        "forward"
    );
}

#[test]
fn groups_of_agents_and_tools() {
    let engine = engine(
        r#"permit (principal in Group::"ops", action == Action::"tools/call", resource in ToolGroup::"read-only");"#,
    );
    assert_eq!(call(&engine, "get", ""), "forward");
    assert_eq!(call(&engine, "put", ""), "reject");
    assert_eq!(
        word(&ask(&engine, "mallory", Target::Tool("get"), "")),
        "reject"
    );
}

#[test]
fn everything_of_the_upstream_is_in_it() {
    let engine = engine(r#"permit (principal, action, resource in Upstream::"upstream");"#);
    assert_eq!(call(&engine, "any", ""), "forward");
    assert_eq!(
        word(&ask(&engine, "alice", Target::Prompt("p"), "")),
        "forward"
    );
}

#[test]
fn the_most_restrictive_permit_wins() {
    let engine = engine(
        r##"@id("all") permit (principal, action == Action::"tools/call", resource);
            @id("pay") @approve("#money") permit (principal, action == Action::"tools/call", resource == Tool::"pay");
            @id("big") @approve permit (principal, action == Action::"tools/call", resource == Tool::"move")
                when { context.arguments has amount && context.arguments.amount > 100 };"##,
    );
    let pay = ask(&engine, "alice", Target::Tool("pay"), "{}");
    assert_eq!(
        pay.outcome,
        Outcome::Approve {
            channel: Some(Arc::from("#money"))
        }
    );
    assert_eq!(pay.policies.as_ref(), [Arc::from("all"), Arc::from("pay")]);
    assert_eq!(call(&engine, "move", r#"{"amount": 100}"#), "forward");
    assert_eq!(
        ask(&engine, "alice", Target::Tool("move"), r#"{"amount": 101}"#).outcome,
        Outcome::Approve { channel: None }
    );
}

#[test]
fn permits_that_ask_in_different_channels_refuse() {
    let engine = engine(
        r##"@id("low") @approve("#low") permit (principal, action == Action::"tools/call", resource);
            @id("security") @approve("#security") permit (principal, action == Action::"tools/call", resource == Tool::"pay");
            @id("more") @approve("#low") permit (principal, action == Action::"tools/call", resource == Tool::"move");
            @id("unnamed") @approve permit (principal, action == Action::"tools/call", resource == Tool::"sell");
            @id("never") forbid (principal, action == Action::"tools/call", resource == Tool::"pay")
                when { context.arguments has amount && context.arguments.amount > 100 };"##,
    );
    let pay = |arguments| ask(&engine, "alice", Target::Tool("pay"), arguments);
    let error =
        |decision: &thoughtgate_policy::Decision| decision.error.as_deref().map(str::to_owned);
    assert_eq!(
        error(&pay("{}")).as_deref(),
        Some(
            "policies `low` and `security` ask for approval in different channels; write the same @approve in both, or conditions that exclude each other"
        )
    );
    assert_eq!(
        *pay("{}").policies,
        [Arc::from("low"), Arc::from("security")]
    );
    // The channel of `@approve` alone is not known here.
    let sell = ask(&engine, "alice", Target::Tool("sell"), "{}");
    assert!(error(&sell).is_some_and(|error| error.contains("`low` and `unnamed`")));
    assert_eq!(
        ask(&engine, "alice", Target::Tool("move"), "{}").outcome,
        Outcome::Approve {
            channel: Some(Arc::from("#low"))
        }
    );
    let forbidden = pay(r#"{"amount": 101}"#);
    assert_eq!((error(&forbidden), forbidden.policies.len()), (None, 1));
}

#[test]
fn an_error_names_its_policy_and_its_argument() {
    let engine = engine(
        r#"@id("all") permit (principal, action == Action::"tools/call", resource);
           @id("product") forbid (principal, action == Action::"tools/call", resource)
               when { context.arguments has a.n && context.arguments.a.n * 9223372036854775807 > 0 };"#,
    );
    let facts = |arguments: &str| {
        let decision = ask(&engine, "alice", Target::Tool("t"), arguments);
        let policies: Vec<String> = decision.policies.iter().map(ToString::to_string).collect();
        (word(&decision), policies.join(","), decision.argument)
    };
    let of = |word, policies: &str, argument: Option<&str>| {
        (word, policies.to_owned(), argument.map(Arc::from))
    };
    assert_eq!(facts(r#"{"a": {"n": 2}}"#), of("error", "product", None));
    assert_eq!(facts(r#"{"a": {"n": "2"}}"#), of("error", "", Some("a.n")));
    assert_eq!(facts(r#"{"a": 2}"#), of("error", "", Some("a")));
    assert_eq!(facts("[2]"), of("error", "", None));
    assert_eq!(facts(r#"{"a": {"n": 0}}"#), of("forward", "all", None));
}

#[test]
fn arguments_of_each_type() {
    let engine = engine(
        r#"permit (principal, action == Action::"tools/call", resource == Tool::"text") when { context.arguments has path && context.arguments.path like "/srv/*" };
           permit (principal, action == Action::"tools/call", resource == Tool::"number") when { context.arguments has n && context.arguments.n <= 5 };
           permit (principal, action == Action::"tools/call", resource == Tool::"bool") when { context.arguments has dry_run && context.arguments.dry_run };
           permit (principal, action == Action::"tools/call", resource == Tool::"set") when { context.arguments has tags && context.arguments.tags.contains("ok") };
           permit (principal, action == Action::"tools/call", resource == Tool::"deep") when { context.arguments has a && context.arguments.a has b && context.arguments.a.b == "x" };
           permit (principal, action == Action::"tools/call", resource == Tool::"oneof") when { context.arguments has mode && ["r", "w"].contains(context.arguments.mode) };
           permit (principal, action == Action::"tools/call", resource == Tool::"present") when { context.arguments has token };"#,
    );
    for (tool, arguments, expected) in [
        ("text", r#"{"path": "/srv/a"}"#, "forward"),
        ("text", r#"{"path": "/etc/a"}"#, "reject"),
        ("text", r#"{"path": "\u002fsrv/a"}"#, "forward"),
        ("text", r#"{"p\u0061th": "/srv/a"}"#, "forward"),
        ("text", "{}", "reject"),
        ("text", "", "reject"),
        ("number", r#"{"n": 5}"#, "forward"),
        ("number", r#"{"n": -9223372036854775808}"#, "forward"),
        ("number", r#"{"n": 6}"#, "reject"),
        ("bool", r#"{"dry_run": true}"#, "forward"),
        ("bool", r#"{"dry_run": false}"#, "reject"),
        ("set", r#"{"tags": ["no", "ok"]}"#, "forward"),
        ("set", r#"{"tags": []}"#, "reject"),
        ("deep", r#"{"a": {"b": "x", "c": 1.5}}"#, "forward"),
        ("deep", r#"{"a": {}}"#, "reject"),
        ("oneof", r#"{"mode": "w"}"#, "forward"),
        ("oneof", r#"{"mode": "x"}"#, "reject"),
        ("present", r#"{"token": ""}"#, "forward"),
        ("present", r#"{"other": 1}"#, "reject"),
    ] {
        assert_eq!(
            call(&engine, tool, arguments),
            expected,
            "{tool} {arguments}"
        );
    }
}

#[test]
fn an_argument_that_cannot_be_compared_is_refused_with_the_reason() {
    let engine = engine(
        r#"permit (principal, action == Action::"tools/call", resource);
           forbid (principal, action == Action::"tools/call", resource) when { context.arguments has path && context.arguments.path == "/etc" };
           forbid (principal, action == Action::"tools/call", resource) when { context.arguments has n && context.arguments.n > 5 };"#,
    );
    assert_eq!(call(&engine, "t", r#"{"unread": [1.5, null]}"#), "forward");
    for arguments in [
        r#"{"path": ["/etc"]}"#,
        r#"{"n": 5.5}"#,
        r#"{"n": 1e400}"#,
        r#"{"n": 9223372036854775808}"#,
        r#"{"n": "6"}"#,
        r#"{"path": "/tmp", "path": "/etc"}"#,
        r#"{"p\u0061th": "/tmp", "path": "/etc"}"#,
        "[]",
        "0",
    ] {
        let decision = ask(&engine, "alice", Target::Tool("t"), arguments);
        assert_eq!(word(&decision), "error", "{arguments}");
        assert!(decision.error.unwrap().contains("argument"), "{arguments}");
    }
}

#[test]
fn an_error_while_evaluating_is_a_refusal() {
    // Cedar would skip the forbid that overflows, and permit.
    let engine = engine(
        r#"permit (principal, action == Action::"tools/call", resource);
           forbid (principal, action == Action::"tools/call", resource == Tool::"t")
             when { context.arguments has n && context.arguments.n + 1 > 10 };"#,
    );
    assert_eq!(call(&engine, "t", r#"{"n": 1}"#), "forward");
    assert_eq!(call(&engine, "t", r#"{"n": 10}"#), "reject");
    assert_eq!(call(&engine, "t", r#"{"n": 9223372036854775807}"#), "error");
}

#[test]
fn the_time_of_the_call() {
    let engine = engine(
        r#"permit (principal, action == Action::"tools/call", resource == Tool::"past") when { context.now < datetime("2026-11-24T09:30:00.001Z") };
           permit (principal, action == Action::"tools/call", resource == Tool::"hours") when { context.now.toTime() > duration("8h") && context.now.toTime() < duration("9h") };"#,
    );
    assert_eq!(call(&engine, "past", ""), "forward");
    assert_eq!(call(&engine, "hours", ""), "reject");
}

#[test]
fn lists_show_what_some_arguments_could_pass() {
    let engine = engine(
        r#"permit (principal, action == Action::"tools/call", resource == Tool::"plain");
           @approve permit (principal, action == Action::"tools/call", resource == Tool::"ask");
           permit (principal, action == Action::"tools/call", resource == Tool::"maybe") when { context.arguments has n && context.arguments.n > 1 };
           permit (principal, action == Action::"tools/call", resource == Tool::"never");
           forbid (principal, action == Action::"tools/call", resource == Tool::"never");
           permit (principal == Agent::"bob", action == Action::"tools/call", resource == Tool::"bobs");
           permit (principal in Group::"strangers", action, resource in Upstream::"upstream") when { context.arguments has n && context.arguments.n > 1 };
           forbid (principal, action == Action::"tools/call", resource == Tool::"unpermitted") when { context.arguments has n && context.arguments.n > 1 };"#,
    );
    for (tool, shown) in [
        ("plain", true),
        ("ask", true),
        ("maybe", true),
        ("never", false),
        ("bobs", false),
        ("of-another-group", false),
        ("unpermitted", false),
        ("unknown", false),
    ] {
        assert_eq!(engine.may_call("alice", tool), shown, "{tool}");
    }
    assert!(engine.may_call("bob", "bobs"));
}

#[test]
fn names_are_data_whatever_characters_they_have() {
    let engine = engine(
        r#"permit (principal == Agent::"a\"b", action == Action::"tools/call", resource == Tool::"x::\"y\"\n");
           permit (principal == Agent::"é", action == Action::"tools/call", resource == Tool::"?");"#,
    );
    assert_eq!(
        word(&ask(&engine, "a\"b", Target::Tool("x::\"y\"\n"), "")),
        "forward"
    );
    assert_eq!(word(&ask(&engine, "é", Target::Tool("?"), "")), "forward");
    assert_eq!(word(&ask(&engine, "é", Target::Tool("x"), "")), "reject");
    assert_eq!(
        word(&ask(&engine, "e\u{301}", Target::Tool("?"), "")),
        "reject"
    );
}

#[test]
fn what_is_remembered_is_kept_apart() {
    let engine = engine(
        r#"permit (principal == Agent::"alice", action == Action::"tools/call", resource == Tool::"a");
           permit (principal, action == Action::"prompts/get", resource == Prompt::"b");"#,
    );
    for _ in 0..2 {
        assert_eq!(call(&engine, "a", ""), "forward");
        assert_eq!(call(&engine, "b", ""), "reject");
        assert_eq!(word(&ask(&engine, "bob", Target::Tool("a"), "")), "reject");
        assert_eq!(
            word(&ask(&engine, "alice", Target::Prompt("b"), "")),
            "forward"
        );
        assert_eq!(
            word(&ask(&engine, "alice", Target::Prompt("a"), "")),
            "reject"
        );
    }
}

#[test]
fn arguments_of_no_plain_type_are_compared_by_value() {
    let forbid = |condition: &str| {
        engine(&format!(
            "permit (principal, action == Action::\"tools/call\", resource);\n\
             forbid (principal, action == Action::\"tools/call\", resource) when {{ \
             context.arguments has a && context.arguments has b && {condition} }};"
        ))
    };
    let (a, b) = ("context.arguments.a", "context.arguments.b");
    let cases = [
        (
            format!("{a} != {b}"),
            r#"{"a":"x","b":"y"}"#,
            r#"{"a":"x","b":"x"}"#,
        ),
        (
            format!("{a} == {b}"),
            r#"{"a":"x","b":"x"}"#,
            r#"{"a":"x","b":"y"}"#,
        ),
        (
            format!("{b}.contains({a})"),
            r#"{"a":"x","b":["x"]}"#,
            r#"{"a":"x","b":["y"]}"#,
        ),
        (
            format!("{b}.containsAny({a})"),
            r#"{"a":["x"],"b":["x"]}"#,
            r#"{"a":["x"],"b":["y"]}"#,
        ),
        (
            format!("{{k: {a}}} == {{k: \"x\"}}"),
            r#"{"a":"x","b":1}"#,
            r#"{"a":"y","b":1}"#,
        ),
        (
            format!("{a} == (if resource == Tool::\"t\" then \"x\" else \"z\")"),
            r#"{"a":"x","b":1}"#,
            r#"{"a":"y","b":1}"#,
        ),
        (
            format!("{b}.isEmpty()"),
            r#"{"a":1,"b":[]}"#,
            r#"{"a":1,"b":[1]}"#,
        ),
    ];
    for (condition, forbidden, allowed) in cases {
        let engine = forbid(&condition);
        assert_eq!(call(&engine, "t", forbidden), "reject", "{condition}");
        assert_eq!(call(&engine, "t", allowed), "forward", "{condition}");
    }
    let numbers = call(&forbid(&format!("{a} != {b}")), "t", r#"{"a":1,"b":2}"#);
    assert_eq!(numbers, "error", "what cannot be compared is refused");
}

#[test]
fn a_method_in_other_letters_is_none_of_its_own() {
    let engine = engine("permit (principal, action, resource);");
    for method in [
        "Tools/Call",
        "tools/call ",
        "tools/call\0",
        "\u{ff54}ools/list",
        "PING",
    ] {
        let decision = ask(&engine, "alice", Target::Method(method), "");
        assert_eq!(word(&decision), "error", "{method:?}");
    }
    for method in [
        "response",
        "notifications/run",
        "other",
        "protocol",
        "made/up",
    ] {
        let decision = ask(&engine, "alice", Target::Method(method), "");
        assert_eq!(word(&decision), "forward", "{method:?}");
    }
}

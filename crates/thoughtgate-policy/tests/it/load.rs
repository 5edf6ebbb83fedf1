//! Refused policies, and the errors that their author sees.

use expect_test::{Expect, expect};
use thoughtgate_policy::{Engine, Options, Source};

use crate::load;

fn refused(text: &str, expected: &Expect) {
    let Err(error) = load(text) else {
        panic!("accepted:\n{text}")
    };
    expected.assert_eq(&error.to_string());
}

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

#[test]
fn one_argument_of_one_tool_has_one_type() {
    refused(
        r#"@id("a") permit (principal, action, resource) when { context.arguments has n && context.arguments.n > 5 };
           @id("b") permit (principal, action, resource) when { context.arguments has n && context.arguments.n like "x*" };"#,
        &expect![[
            r#"test.cedar:2:92: policy `b` uses `context.arguments.n` as a string, but policy `a` at test.cedar:1:81 uses it as a whole number, and both may apply to one tool; use it as one type, or write scopes that have no tool in common, such as `resource == Tool::"…"`, or two groups of `tool_groups` without a common tool"#
        ]],
    );
    refused(
        r#"@id("a") permit (principal, action, resource)
             when { context.arguments has n && context.arguments.n > 5 && context.arguments.n like "x*" };"#,
        &expect![
            "test.cedar:2:75: policy `a` uses `context.arguments.n` as a string, but at test.cedar:2:48 as a whole number; use it as one type"
        ],
    );
    refused(
        r#"@id("a") permit (principal, action, resource) when {
             context.arguments has a.b && context.arguments.a["b"] > 5 && context.arguments.a like "x*" };"#,
        &expect![
            "test.cedar:2:75: policy `a` uses `context.arguments.a` as a string, but at test.cedar:2:43 as an object; use it as one type"
        ],
    );
}

#[test]
fn the_context_is_read_by_field() {
    refused(
        r#"@id("whole") permit (principal, action, resource) when { context.arguments == {"a": 1} };"#,
        &expect![
            "test.cedar:1:1: policy `whole` uses `context.arguments` as a whole; read single arguments, such as `context.arguments.path`"
        ],
    );
}

#[test]
fn ids_are_unique_and_the_baselines_is_taken() {
    refused(
        r#"@id("x") permit (principal, action, resource); @id("x") forbid (principal, action, resource);"#,
        &expect!["test.cedar:1:48: the id `x` is used twice; give each policy its own @id"],
    );
    refused(
        r#"@id("thoughtgate:baseline") permit (principal, action, resource);"#,
        &expect![
            "test.cedar:1:1: the id `thoughtgate:baseline` is used twice; give each policy its own @id"
        ],
    );
}

#[test]
fn templates_and_misplaced_approvals() {
    refused(
        "permit (principal == ?principal, action, resource);",
        &expect![
            "test.cedar: policy templates (`?principal`, `?resource`) are not supported; write a policy for each principal or resource, or use groups"
        ],
    );
    refused(
        r#"@id("no") @approve forbid (principal, action, resource);"#,
        &expect![
            "test.cedar:1:1: policy `no` is a forbid with @approve; only a permit can ask for approval"
        ],
    );
}

#[test]
fn approval_needs_a_channel() {
    let source = Source {
        name: "pay.cedar".to_owned(),
        text: r#"@id("pay") @approve permit (principal, action, resource);"#.to_owned(),
    };
    let Err(error) = Engine::load(&[source], &Options::default()) else {
        panic!("accepted")
    };
    expect!["pay.cedar:1:1: policy `pay` asks for approval, but no approval channel is configured; set `approval.slack` or remove @approve"].assert_eq(&error.to_string());
}

#[test]
fn default_ids_name_the_file_and_the_count_leaves_the_baseline_out() {
    let engine =
        load("permit (principal, action, resource); forbid (principal, action, resource);")
            .unwrap();
    assert_eq!(engine.policy_count(), 2);
    let decision = crate::ask(&engine, "alice", thoughtgate_policy::Target::Tool("t"), "");
    assert_eq!(
        decision.policies.as_ref(),
        [std::sync::Arc::from("policy1@test.cedar")]
    );
}

#[test]
fn a_misspelt_annotation_is_refused_even_when_it_is_listed() {
    refused(
        "permit (principal, action, resource);\n\n@id(\"pay\") @aprove\npermit (principal, action, resource);",
        &expect![
            "test.cedar:3:12: policy `pay` has the unknown annotation `@aprove`; did you mean `@approve`?"
        ],
    );
    refused(
        "@Approve permit (principal, action, resource);",
        &expect![
            "test.cedar:1:1: policy `policy0@test.cedar` has the unknown annotation `@Approve`; did you mean `@approve`?"
        ],
    );
    refused(
        "@env(\"prod\") permit (principal, action, resource);",
        &expect![
            "test.cedar:1:1: policy `policy0@test.cedar` has the unknown annotation `@env`; known annotations: `@id`, `@approve`, `@reason`, `@description`, `@owner`, `@author`, `@ticket`, and those listed in `policy_annotations`"
        ],
    );
    let text = r#"@id("a") @reason("r") @description("d") @owner("o") @author("a") @ticket("t") @team("x")
                  permit (principal, action, resource);"#;
    assert!(load(text).is_ok());
}

#[test]
fn annotations_have_values_that_mean_something() {
    refused(
        "@id permit (principal, action, resource);",
        &expect!["test.cedar:1:1: a policy has an empty @id; name the policy, or leave @id out"],
    );
    for value in ["false", "yes", "Money", "# money"] {
        let text =
            format!("@id(\"a\") @approve(\"{value}\") permit (principal, action, resource);");
        let error = load(&text).err().unwrap().to_string();
        assert!(error.contains("is not a valid Slack channel"), "{error}");
    }
}

#[test]
fn groups_and_the_upstream_must_be_defined_wherever_they_are_named() {
    refused(
        r#"@id("stop") forbid (principal, action == Action::"tools/call",
             resource in ToolGroup::"read-onyl");"#,
        &expect![[
            r#"test.cedar:2:26: policy `stop` names `ToolGroup::"read-onyl"`, which `tool_groups` does not define; did you mean `ToolGroup::"read-only"`?"#
        ]],
    );
    refused(
        r#"@id("stop") forbid (principal in Group::"finance", action, resource);"#,
        &expect![[
            r#"test.cedar:1:34: policy `stop` names `Group::"finance"`, which `agent.groups` does not define; defined groups: `ops`, `strangers`"#
        ]],
    );
    refused(
        r#"@id("all") permit (principal, action, resource in Upstream::"elsewhere");"#,
        &expect![[
            r#"test.cedar:1:51: policy `all` names `Upstream::"elsewhere"`, which is not the configured `upstream.name`; did you mean `Upstream::"upstream"`?"#
        ]],
    );
    for condition in [
        "when { principal in Group::\"op\" }",
        "unless { principal in Group::\"op\" }",
        "when { principal in [Group::\"ops\", Group::\"op\"] }",
        "when { if principal in Group::\"ops\" then true else (true && !(principal in Group::\"op\")) }",
        "when { context.arguments has n && (context.arguments.n > 1 || principal in Group::\"op\") }",
    ] {
        let error = load(&format!(
            "forbid (principal, action, resource) {condition};"
        ));
        let error = error.err().expect(condition).to_string();
        assert!(error.contains("did you mean `Group::\"ops\"`?"), "{error}");
    }
}

#[test]
fn a_policy_that_can_never_apply_is_refused() {
    for text in [
        "permit (principal, action, resource) when { false };",
        r#"forbid (principal == Group::"ops", action, resource);"#,
        r#"forbid (principal, action, resource == ToolGroup::"read-only");"#,
        r#"forbid (principal, action == Action::"tools/list", resource == Tool::"t");"#,
        r#"forbid (principal, action == Action::"tools/call", resource == Tool::"delete_*");"#,
        r#"forbid (principal == Agent::"*", action, resource);"#,
        "forbid (principal, action == Action::\"tools/call\", resource == Tool::\"a\u{202e}b\");",
    ] {
        let error = load(text).err().expect(text).to_string();
        assert!(error.starts_with("test.cedar:1:"), "{error}");
    }
}

#[test]
fn groups_are_as_they_read() {
    for (tools, expected) in [
        (vec![("reads", vec![])], "has no members"),
        (vec![("reads", vec![""])], "is empty or has spaces"),
        (vec![("reads", vec!["list "])], "is empty or has spaces"),
        (vec![("reads", vec!["get_*"])], "not as patterns"),
        (vec![("", vec!["get"])], "the name is empty"),
        (
            vec![("Reads", vec!["get"]), ("reads", vec!["get"])],
            "differs only in case from `Reads`",
        ),
    ] {
        let tool_groups = tools
            .into_iter()
            .map(|(name, tools)| {
                (
                    name.to_owned(),
                    tools.into_iter().map(str::to_owned).collect(),
                )
            })
            .collect();
        let options = Options {
            tool_groups,
            ..Options::default()
        };
        let error = Engine::load(&[], &options).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(error.contains("`tool_groups`"), "{error}");
        assert!(!error.contains("get_*"), "quotes a value: {error}");
    }
}

/// Loads on a stack of `LOAD_STACK_BYTES`, then decides and drops on a stack like a worker's.
fn load_and_call(condition: &str) -> Result<&'static str, String> {
    let text = format!(
        r#"permit (principal, action == Action::"tools/call", resource) when {{ {condition} }};"#
    );
    let loading = std::thread::Builder::new().stack_size(thoughtgate_policy::LOAD_STACK_BYTES);
    let loaded = loading.spawn(move || load(&text)).unwrap().join().unwrap();
    let engine = loaded.map_err(|error| error.to_string())?;
    let calling = std::thread::spawn(move || crate::call(&engine, "get", r#"{"a":899}"#));
    Ok(calling.join().unwrap())
}

#[test]
fn nesting_is_decided_or_refused_and_overflows_no_stack() {
    let chain = |operator: &str| {
        let conditions: Vec<String> = (0..300)
            .map(|number| format!("context.arguments.a == {}", number + 600))
            .collect();
        conditions.join(operator)
    };
    for condition in [
        format!("context.arguments has a && ({})", chain(" || ")),
        format!("context.arguments has a && !({})", chain(" && ")),
        format!("{}true{}", "(".repeat(240), ")".repeat(240)),
        format!(
            "{}true{}",
            "if true then ".repeat(900),
            " else false".repeat(900)
        ),
    ] {
        // Without optimisation a worker's stack may be too small to decide: then Cedar refuses.
        let decided = load_and_call(&condition).unwrap();
        assert!(
            matches!(decided, "forward" | "error"),
            "{decided}: {condition:.40}"
        );
    }
    for condition in [
        format!("{}true{}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("{}true{}", "[".repeat(100_000), "]".repeat(100_000)),
        format!("context.arguments.a == {}", "1 + ".repeat(100_000)),
        format!("context.arguments{}", ".a".repeat(100_000)),
        "if true then ".repeat(100_000),
    ] {
        let refused = load_and_call(&condition).unwrap_err();
        assert!(refused.starts_with("test.cedar:1:"), "{refused}");
        assert!(refused.contains("nested too deeply"), "{refused}");
    }
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

#[test]
fn a_mistake_in_a_condition_is_told_with_the_way_out() {
    let condition = |text: &str, expected| {
        let before = r#"permit (principal, action == Action::"tools/call", resource)"#;
        (format!("{before} when {{ {text} }};"), expected)
    };
    let read = |text: &str, expected| {
        let before = "context.arguments has x && context.arguments.x";
        condition(&format!("{before}{text}"), expected)
    };
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

#[test]
fn a_byte_order_mark_is_no_part_of_a_file() {
    let text = "permit (principal, action, resource);";
    let marked = format!("\u{feff}{text}");
    let engine = load(&marked).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(engine.policy_count(), 1);
    // It is a part of what `sha256sum` reads.
    assert_ne!(engine.sha256(), load(text).ok().unwrap().sha256());
    refused(
        "\u{feff}permit (principal, action resource);",
        &expect!["test.cedar:1:27: unexpected token `resource`"],
    );
    refused(
        "permit (principal, action, resource);\n\u{feff}permit (principal, action, resource);",
        &expect!["test.cedar:2:1: invalid token"],
    );
}

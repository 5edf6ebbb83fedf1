//! What is loaded, and what is refused for what it means.

use expect_test::{Expect, expect};
use thoughtgate_policy::{Engine, Options, Source};

use crate::load;

/// Fails unless the policies are refused with this error.
pub fn refused(text: &str, expected: &Expect) {
    let Err(error) = load(text) else {
        panic!("accepted:\n{text}")
    };
    expected.assert_eq(&error.to_string());
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
        r#"@id("p") @approve permit (principal, action in [Action::"prompts/get", Action::"tools/list"], resource);"#,
        &expect![[
            r#"test.cedar:1:1: policy `p` has @approve, but only calls of tools can be approved; write `action == Action::"tools/call"`, or remove @approve"#
        ]],
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
fn a_comparison_with_what_a_request_never_is_is_refused_wherever_it_is() {
    const OPS: &str = "`Group::\"ops\"`, which is a group, so that `principal == Group::\"ops\"` is never true; write `principal in Group::\"ops\"`";
    const READ: &str = "`ToolGroup::\"read-only\"`, which is a group, so that `resource == ToolGroup::\"read-only\"` is never true; write `resource in ToolGroup::\"read-only\"`";
    for (text, place, expected) in [
        (
            r#"forbid (principal == Group::"ops", action, resource);"#,
            22,
            OPS,
        ),
        (
            r#"forbid (principal, action, resource == ToolGroup::"read-only");"#,
            40,
            READ,
        ),
        (
            r#"permit (principal, action, resource) unless { principal == Group::"ops" };"#,
            60,
            OPS,
        ),
        (
            r#"permit (principal, action, resource) when { ToolGroup::"read-only" != resource };"#,
            45,
            READ,
        ),
        (
            r#"forbid (principal, action, resource)
               when { resource == Tool::"a" || resource in [Group::"ops"] };"#,
            61,
            "`Group::\"ops\"`, which has no such members, so that `resource in Group::\"ops\"` is never true; groups of a resource are `ToolGroup`",
        ),
        (
            r#"forbid (principal, action, resource) when { principal == Tool::"a" || context.now > context.now };"#,
            58,
            "a principal is a `Agent`",
        ),
        (
            "permit (principal, action, resource) unless { principal is Group };",
            1,
            "write `principal in Group::\"…\"`",
        ),
        (
            r#"permit (principal is Agent in ToolGroup::"read-only", action, resource);"#,
            31,
            "groups of a principal are `Group`",
        ),
    ] {
        let error = load(text).err().expect(text).to_string();
        assert!(error.contains(expected), "{text}\n{error}");
        assert!(error.contains(&format!(":{place}: ")), "{text}\n{error}");
        assert_eq!(error.lines().count(), 1, "{text}\n{error}");
    }
    for text in [
        r#"permit (principal in Agent::"a", action, resource in Tool::"t");"#,
        r#"permit (principal, action, resource) when { resource is Tool in ToolGroup::"read-only" || resource == Upstream::"upstream" };"#,
        r#"permit (principal is Agent in Group::"ops", action, resource in Upstream::"upstream");"#,
        r#"permit (principal, action, resource) when { resource in [Tool::"a", Tool::"b"] || resource == Prompt::"p" };"#,
    ] {
        let error = load(text).err().map(|error| error.to_string());
        let error = error.unwrap_or_default();
        assert!(!error.contains("is never true"), "{text}\n{error}");
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

//! The types of arguments, which the policies of one tool agree on and those of two need not.

use thoughtgate_policy::{LoadError, Target};

use crate::{ask, call, engine, load, word};

/// A policy that reads the argument `id` as the type that `test` needs.
fn policy(id: &str, scope: &str, test: &str) -> String {
    format!(
        "@id(\"{id}\") permit (principal, action == Action::\"tools/call\", {scope})\n\
         when {{ context.arguments has id && context.arguments.id {test} }};\n"
    )
}

const NUMBER: &str = "> 5";
const TEXT: &str = "== \"x\"";
const FLAG: &str = "== true";

#[test]
fn each_tool_has_its_own_types() {
    let text = [
        policy("a", "resource == Tool::\"number\"", NUMBER),
        policy("b", "resource == Tool::\"text\"", TEXT),
        policy("c", "resource == Tool::\"flag\"", FLAG),
        policy("d", "resource == Tool::\"number\"", "< 3"),
        "permit (principal, action == Action::\"tools/call\", resource) when { \
         context.arguments has free && context.arguments.free == \"x\" };"
            .to_owned(),
        "forbid (principal, action == Action::\"tools/call\", resource) unless { \
         context.arguments has id };"
            .to_owned(),
    ]
    .concat();
    let engine = engine(&text);
    for (tool, arguments, expected) in [
        ("number", r#"{"id": 6}"#, "forward"),
        ("number", r#"{"id": 2.0}"#, "forward"),
        ("number", r#"{"id": 4}"#, "reject"),
        ("number", r#"{"id": "x"}"#, "error"),
        ("text", r#"{"id": "x"}"#, "forward"),
        ("text", r#"{"id": 6}"#, "error"),
        ("flag", r#"{"id": true}"#, "forward"),
        ("flag", r#"{"id": 6}"#, "error"),
        ("other", r#"{"id": [6], "free": "x"}"#, "forward"),
        ("number", r#"{"id": 4, "free": "x"}"#, "forward"),
        ("number", r#"{"id": 4, "free": 1}"#, "error"),
        ("text", r#"{"free": "x"}"#, "reject"),
    ] {
        assert_eq!(
            call(&engine, tool, arguments),
            expected,
            "{tool} {arguments}"
        );
    }
}

/// The ids and the places of the two policies that disagree.
fn disagreeing(policies: &[String]) -> [String; 4] {
    match load(&policies.concat()) {
        Err(errors) => {
            let [LoadError::TypeConflict(conflict)] = errors.all() else {
                panic!("{errors}")
            };
            assert_eq!(conflict.argument, "id");
            let other = conflict.other.as_ref().expect("another policy");
            [
                &conflict.policy,
                &conflict.place,
                other,
                &conflict.other_place,
            ]
            .map(Clone::clone)
        }
        Ok(_) => panic!("accepted: {policies:?}"),
    }
}

#[test]
fn a_policy_for_several_tools_agrees_with_those_of_each() {
    for general in [
        "resource",
        "resource is Tool",
        "resource in ToolGroup::\"read-only\"",
        "resource in Upstream::\"upstream\"",
    ] {
        // One of the members of the group.
        let tool = policy("tool", "resource == Tool::\"get\"", NUMBER);
        let (number, text) = (
            policy("general", general, NUMBER),
            policy("general", general, TEXT),
        );
        assert!(load(&[tool.clone(), number].concat()).is_ok(), "{general}");
        let found = disagreeing(&[tool.clone(), text.clone()]);
        let expected = ["general", "test.cedar:4:36", "tool", "test.cedar:2:36"];
        assert_eq!(found, expected, "{general}");
        let found = disagreeing(&[text, tool]);
        let expected = ["tool", "test.cedar:4:36", "general", "test.cedar:2:36"];
        assert_eq!(found, expected, "{general}");
    }
}

#[test]
fn policies_that_share_no_tool_need_not_agree() {
    let group = "resource in ToolGroup::\"read-only\"";
    for other in [
        "resource == Tool::\"delete\"",
        "resource in ToolGroup::\"writing\"",
        "resource is Tool in ToolGroup::\"writing\"",
    ] {
        let policies = [policy("a", group, NUMBER), policy("b", other, TEXT)];
        let engine = engine(&policies.concat());
        for (tool, arguments, expected) in [
            ("get", r#"{"id": 6}"#, "forward"),
            ("list", r#"{"id": "x"}"#, "error"),
            ("delete", r#"{"id": "x"}"#, "forward"),
            ("delete", r#"{"id": 6}"#, "error"),
        ] {
            assert_eq!(
                call(&engine, tool, arguments),
                expected,
                "{other} {tool} {arguments}"
            );
        }
    }
    let shared = disagreeing(&[policy("a", group, NUMBER), policy("b", group, TEXT)]);
    assert_eq!(shared, ["b", "test.cedar:4:36", "a", "test.cedar:2:36"]);
}

#[test]
fn policies_for_other_kinds_of_requests_need_not_agree() {
    let tools = policy("a", "resource", NUMBER);
    let prompts = policy("b", "resource", TEXT).replace("tools/call", "prompts/get");
    let engine = engine(&[tools, prompts.clone()].concat());
    assert_eq!(call(&engine, "get", r#"{"id": 6}"#), "forward");
    let prompt = ask(&engine, "alice", Target::Prompt("p"), r#"{"id": "x"}"#);
    assert_eq!(word(&prompt), "forward");

    let any = policy("a", "resource", NUMBER).replace("action == Action::\"tools/call\"", "action");
    let errors = load(&[any, prompts].concat()).err().unwrap().to_string();
    assert!(errors.contains("both may apply to one prompt"), "{errors}");
}

#[test]
fn the_policy_that_disagrees_is_found_among_others() {
    let found = disagreeing(&[
        policy("a", "resource == Tool::\"a\"", TEXT),
        policy("b", "resource == Tool::\"b\"", NUMBER),
        policy("c", "resource == Tool::\"b\"", NUMBER),
        policy("d", "resource == Tool::\"b\"", TEXT),
    ]);
    assert_eq!(found, ["d", "test.cedar:8:36", "b", "test.cedar:4:36"]);
}

#[test]
fn policies_of_each_tool_are_validated() {
    let text = [
        policy("a", "resource == Tool::\"number\"", NUMBER),
        policy("b", "resource == Tool::\"text\"", TEXT),
        "@id(\"c\") permit (principal, action == Action::\"tools/call\", resource == Tool::\"text\") \
         when { context.arguments.id == \"x\" };"
            .to_owned(),
    ];
    let error = load(&text.concat()).err().unwrap().to_string();
    assert!(
        error.starts_with("test.cedar:5:") && error.contains("for policy `c`"),
        "{error}"
    );
}

//! Policies that are not accepted, and what their author is told.

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
fn one_argument_has_one_type() {
    refused(
        r#"@id("a") permit (principal, action, resource) when { context.arguments has n && context.arguments.n > 5 };
           @id("b") permit (principal, action, resource) when { context.arguments has n && context.arguments.n like "x*" };"#,
        &expect![
            "test.cedar: policy `b` uses `context.arguments.n` as a text, elsewhere it is a whole number; scope the policies to tools whose argument has one type, or rename it"
        ],
    );
}

#[test]
fn the_context_is_read_by_field() {
    refused(
        r#"@id("whole") permit (principal, action, resource) when { context.arguments == {"a": 1} };"#,
        &expect![
            "test.cedar: policy `whole` uses `context.arguments` as a whole; read single arguments, such as `context.arguments.path`"
        ],
    );
}

#[test]
fn ids_are_unique_and_the_baselines_is_taken() {
    refused(
        r#"@id("x") permit (principal, action, resource); @id("x") forbid (principal, action, resource);"#,
        &expect!["test.cedar: the id `x` is used twice; give each policy its own @id"],
    );
    refused(
        r#"@id("thoughtgate:baseline") permit (principal, action, resource);"#,
        &expect![
            "test.cedar: the id `thoughtgate:baseline` is used twice; give each policy its own @id"
        ],
    );
}

#[test]
fn templates_and_misplaced_approvals() {
    refused(
        "permit (principal == ?principal, action, resource);",
        &expect![
            "test.cedar: policy templates (`?principal`, `?resource`) are not supported; write the policy out, or use groups"
        ],
    );
    refused(
        r#"@id("no") @approve forbid (principal, action, resource);"#,
        &expect![
            "test.cedar: policy `no` is a forbid with @approve; an approval can only be asked by a permit"
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
    expect!["pay.cedar: policy `pay` asks for approval, but no approval channel is configured; set `approval.slack` or remove @approve"].assert_eq(&error.to_string());
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

//! Explanations of decisions.

use serde_json::json;
use thoughtgate_policy::{
    Decision, Effect, Engine, Explanation, Finding, Known, Outcome, Principal, Query, Target,
};

use crate::{claims, engine, now};

const POLICIES: &str = r#"@id("any") permit (principal, action, resource) when { context.now < datetime("2020-01-01") };
@id("get") @reason("reads only") permit (principal, action == Action::"tools/call", resource == Tool::"get");
@id("mallory") permit (principal == Agent::"mallory", action == Action::"tools/call", resource == Tool::"get");
@id("list") forbid (principal, action in [Action::"prompts/get", Action::"tools/list"], resource in Upstream::"upstream");
@id("path") @approve permit (principal, action == Action::"tools/call", resource == Tool::"put")
when { context.arguments has path && context.arguments has size }
when { context.arguments.path like "/srv/*"   &&
       context.arguments.size < 5 && context.arguments.size * 4611686018427387904 > 0 }
unless { context.arguments has force };
@id("other") permit (principal, action == Action::"tools/call", resource == Tool::"other");
"#;

fn explain(engine: &Engine, target: Target<'_>, arguments: Option<&str>) -> Explanation {
    let raw =
        arguments.map(|text| serde_json::value::RawValue::from_string(text.to_owned()).unwrap());
    let query = Query {
        principal: "alice".into(),
        target,
        arguments: raw.as_deref().map(Into::into),
        now: now(),
    };
    let known = Known {
        arguments: arguments.is_some(),
        claims: true,
    };
    engine.explain(&query, known)
}

fn findings(explanation: &Explanation) -> Vec<(&str, &Finding)> {
    let policies = explanation.policies.iter();
    policies
        .map(|policy| (&*policy.id, &policy.finding))
        .collect()
}

#[test]
fn the_policies_that_apply_and_those_that_nearly_do_are_told() {
    let engine = engine(POLICIES);
    let explanation = explain(&engine, Target::Tool("get"), Some("{}"));
    let past = Finding::False {
        part: Some("when { context.now < datetime(\"2020-01-01\") }".to_owned()),
        place: Some("test.cedar:1:56".to_owned()),
    };
    assert_eq!(
        findings(&explanation),
        [
            ("any", &past),
            ("get", &Finding::Applies),
            ("mallory", &Finding::OtherAgent),
            ("list", &Finding::OtherAction),
        ]
    );
    let get = &explanation.policies[1];
    assert_eq!(get.reason.as_deref(), Some("reads only"));
    assert_eq!(
        (&*get.place, get.effect),
        ("test.cedar:2:1", Effect::Permit)
    );
    assert!(explanation.policies[0].time);
}

#[test]
fn the_part_of_a_condition_that_is_false_is_told() {
    let engine = engine(POLICIES);
    let part = |arguments: &str| {
        let explanation = explain(&engine, Target::Tool("put"), Some(arguments));
        let found = explanation
            .policies
            .iter()
            .find(|policy| &*policy.id == "path");
        let found = found.unwrap();
        assert_eq!(found.effect, Effect::Approve);
        assert_eq!(found.arguments, ["force", "path", "size"]);
        found.finding.clone()
    };
    let is_false = |text: &str, place: &str| Finding::False {
        part: Some(text.to_owned()),
        place: Some(place.to_owned()),
    };
    for (arguments, expected) in [
        (
            "{}",
            is_false("when { context.arguments has path }", "test.cedar:6:8"),
        ),
        (
            r#"{"path":"/etc","size":1}"#,
            is_false(
                "when { context.arguments.path like \"/srv/*\" }",
                "test.cedar:7:8",
            ),
        ),
        (
            r#"{"path":"/srv/a","size":7}"#,
            is_false("when { context.arguments.size < 5 }", "test.cedar:8:8"),
        ),
        (
            r#"{"path":"/srv/a","size":1,"force":1}"#,
            is_false("unless { context.arguments has force }", "test.cedar:9:10"),
        ),
        (r#"{"path":"/srv/a","size":1}"#, Finding::Applies),
        (
            r#"{"path":"/srv/a","size":2}"#,
            Finding::Failed {
                reason: "a calculation overflows".to_owned(),
                part: Some("when { context.arguments.size * 4611686018427387904 > 0 }".to_owned()),
            },
        ),
        (
            r#"{"path":1}"#,
            Finding::Failed {
                reason: "argument `path` is a number, but policies read it as a string".to_owned(),
                part: None,
            },
        ),
    ] {
        assert_eq!(part(arguments), expected, "{arguments}");
    }
}

#[test]
fn what_depends_on_unknown_arguments_is_unknown() {
    let engine = engine(
        r#"@id("a") permit (principal, action == Action::"tools/call", resource == Tool::"a") when { context.arguments has x };
@id("b") permit (principal, action == Action::"tools/call", resource == Tool::"b");
@id("c") forbid (principal, action == Action::"tools/call", resource == Tool::"c") when { context.now > datetime("2020-01-01") };
@id("d") forbid (principal, action == Action::"tools/call", resource == Tool::"c") when { context.arguments has x };"#,
    );
    let decided = |tool| explain(&engine, Target::Tool(tool), None).decision;
    assert_eq!(decided("a"), None);
    let outcome = |decision: Option<Decision>| decision.map(|decision| decision.outcome);
    assert_eq!(outcome(decided("b")), Some(Outcome::Forward));
    // A forbid holds whatever else does.
    let forbidden = decided("c").unwrap();
    assert_eq!(
        (&forbidden.outcome, &*forbidden.policies[0]),
        (&Outcome::Reject, "c")
    );
    let list = explain(&engine, Target::Method("tools/list"), None);
    assert_eq!(outcome(list.decision), Some(Outcome::Forward));
    assert!(list.policies.iter().all(|policy| policy.built_in));
}

#[test]
fn what_depends_on_claims_that_are_not_known_is_unknown() {
    let engine = claims::engine(
        r#"@id("sre") permit (principal, action, resource == Tool::"restart")
             when { principal has groups && principal.groups.contains("sre") };
           @id("get") permit (principal, action, resource == Tool::"get");"#,
    );
    let token = claims::claims(&json!({}));
    let explain = |tool, known| {
        let query = Query {
            principal: Principal {
                id: "alice",
                claims: Some(&token),
            },
            target: Target::Tool(tool),
            arguments: None,
            now: now(),
        };
        let (arguments, claims) = (true, known);
        engine.explain(&query, Known { arguments, claims })
    };
    let known = explain("restart", true);
    assert_eq!(known.policies[0].claims, ["groups"]);
    assert!(matches!(known.policies[0].finding, Finding::False { .. }));
    assert_eq!(known.decision.unwrap().outcome, Outcome::Reject);
    let unknown = explain("restart", false);
    assert_eq!(findings(&unknown), [("sre", &Finding::Unknown)]);
    assert_eq!(unknown.decision, None);
    // Whatever its claims are.
    let other = explain("get", false);
    assert_eq!(other.decision.unwrap().outcome, Outcome::Forward);
}

//! Claims of an agent's token as attributes that policies read.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use thoughtgate_policy::{
    ClaimError, ClaimType, Claims, Decision, Declared, Engine, LoadErrors, Options, Principal,
    Query, Source, Target,
};

use crate::{now, word};

pub fn declared() -> Arc<Declared> {
    let declared = [
        ("groups", ClaimType::Set),
        ("scope", ClaimType::Set),
        ("department", ClaimType::Text),
        ("admin", ClaimType::Bool),
        ("level", ClaimType::Number),
        ("https://idp/role", ClaimType::Text),
    ];
    Arc::new(
        declared
            .map(|(name, claim)| (name.to_owned(), claim))
            .into(),
    )
}

fn load_with(text: &str, claims: &Arc<Declared>) -> Result<Engine, LoadErrors> {
    let source = Source {
        name: "test.cedar".to_owned(),
        text: text.to_owned(),
    };
    let options = Options {
        claims: Arc::clone(claims),
        ..crate::options()
    };
    Engine::load(&[source], &options)
}

pub fn engine(text: &str) -> Engine {
    load_with(text, &declared()).unwrap_or_else(|error| panic!("{error}"))
}

pub fn claims(token: &Value) -> Claims {
    read(token).unwrap()
}

fn read(token: &Value) -> Result<Claims, ClaimError> {
    let token: &Map<String, Value> = token.as_object().unwrap();
    Claims::read(&declared(), token)
}

fn decide(engine: &Engine, claims: Option<&Claims>, tool: &str) -> Decision {
    engine.decide(&Query {
        principal: Principal {
            id: "alice",
            claims,
        },
        target: Target::Tool(tool),
        arguments: None,
        now: now(),
    })
}

#[test]
fn policies_decide_by_the_claims_of_each_token() {
    let engine = engine(
        r#"@id("sre") permit (principal, action, resource == Tool::"restart")
             when { principal has groups && principal.groups.contains("sre") };
           @id("scopes") permit (principal, action, resource == Tool::"write")
             when { principal has scope && principal.scope.containsAll(["read", "write"]) };
           @id("sales") permit (principal, action, resource == Tool::"quote")
             when { principal has department && principal.department like "sales*" };
           @id("senior") permit (principal, action, resource == Tool::"pay")
             when { principal has level && principal.level > 3 }
             unless { principal has admin && principal.admin };
           @id("role") permit (principal, action, resource == Tool::"audit")
             when { principal has "https://idp/role" && principal["https://idp/role"] == "auditor" };"#,
    );
    for (token, tool, expected) in [
        (json!({"groups": ["dev", "sre"]}), "restart", "forward"),
        (json!({"groups": ["dev"]}), "restart", "reject"),
        (json!({"groups": []}), "restart", "reject"),
        (json!({}), "restart", "reject"),
        (json!({"scope": "openid  write read"}), "write", "forward"),
        (json!({"scope": ["write", "read"]}), "write", "forward"),
        (json!({"scope": "write"}), "write", "reject"),
        (json!({"department": "sales-eu"}), "quote", "forward"),
        (json!({"department": "legal"}), "quote", "reject"),
        (json!({"level": 4}), "pay", "forward"),
        (json!({"level": 4, "admin": true}), "pay", "reject"),
        (json!({"level": 4, "admin": false}), "pay", "forward"),
        (json!({"level": -1}), "pay", "reject"),
        (json!({"https://idp/role": "auditor"}), "audit", "forward"),
    ] {
        // Twice: the second decision is the cached one.
        for _ in 0..2 {
            let decision = decide(&engine, Some(&claims(&token)), tool);
            assert_eq!(word(&decision), expected, "{token} {tool}");
        }
        let token = claims(&token);
        let principal = Principal {
            id: "alice",
            claims: Some(&token),
        };
        assert_eq!(engine.may_call(principal, tool), expected == "forward");
    }
}

#[test]
fn a_claim_of_another_type_is_an_error_and_not_absent() {
    for (token, wanted) in [
        (
            json!({"groups": "sre"}),
            "claim `groups` of the token is not a list of strings",
        ),
        (json!({"groups": ["a", 1]}), "not a list of strings"),
        (json!({"groups": null}), "not a list of strings"),
        (
            json!({"scope": 7}),
            "not a list of strings or a string of words",
        ),
        (json!({"department": ["a"]}), "not a string"),
        (json!({"admin": "true"}), "not a boolean"),
        (json!({"level": 1.5}), "not a whole number of 64 bits"),
        (json!({"level": "1"}), "not a whole number of 64 bits"),
        (
            json!({"level": 9_223_372_036_854_775_808_u64}),
            "not a whole number",
        ),
    ] {
        let error = read(&token).unwrap_err().to_string();
        assert!(error.contains(wanted), "{token}: {error}");
    }
    let large = json!({"department": "x".repeat(16 * 1024)});
    read(&large).unwrap();
    for large in [
        json!({"department": "x".repeat(16 * 1024 + 1)}),
        json!({"groups": (0..4000).map(|number| number.to_string()).collect::<Vec<_>>()}),
    ] {
        assert_eq!(read(&large), Err(ClaimError::TooLarge));
    }
    // Whatever is not declared has no type, and is not read.
    read(&json!({"other": [1, {}], "groups": []})).unwrap();
}

#[test]
fn without_the_claims_that_policies_read_nothing_is_decided() {
    let text = r#"permit (principal, action == Action::"tools/call", resource);
                  forbid (principal, action, resource)
                    when { principal has admin && principal.admin };"#;
    let engine = engine(text);
    assert_eq!(word(&decide(&engine, None, "t")), "error");
    assert!(!engine.may_call("alice", "t"));
    // Read by an older declaration, in which `admin` was not.
    let older: Arc<Declared> = Arc::new([("groups".to_owned(), ClaimType::Set)].into());
    let token = json!({"admin": true});
    let older = Claims::read(&older, token.as_object().unwrap()).unwrap();
    let decision = decide(&engine, Some(&older), "t");
    assert_eq!(word(&decision), "error");
    assert!(decision.error.unwrap().contains("send it again"));
    // Stored and read again they are the same.
    let stored = serde_json::to_string(&claims(&token)).unwrap();
    let again: Claims = serde_json::from_str(&stored).unwrap();
    assert_eq!(again, claims(&token));
    assert_eq!(word(&decide(&engine, Some(&again), "t")), "reject");
    // Policies that read none need none.
    let unread = load_with("permit (principal, action, resource);", &declared()).unwrap();
    assert_eq!(word(&decide(&unread, None, "t")), "forward");
}

#[test]
fn a_policy_that_reads_what_is_not_declared_is_refused_with_the_way_out() {
    for condition in [
        "principal has team && principal.team.contains(\"a\")",
        "principal.team == \"a\"",
        "principal has team.name",
    ] {
        let text = format!("\npermit (principal, action, resource) when {{ {condition} }};");
        let error = load_with(&text, &declared()).err().unwrap().to_string();
        assert!(error.starts_with("test.cedar:2:1: "), "{error}");
        assert!(
            error.contains("`team: set`") && error.contains("agent.jwt.claims"),
            "{error}"
        );
    }
    // A declared claim is checked by its type, and may be absent.
    for (condition, says) in [
        (
            "principal has groups && principal.groups == \"a\"",
            "Set<String>",
        ),
        (
            "principal.groups.contains(\"a\")",
            "optional attribute `groups`",
        ),
        ("principal has level && principal.level like \"a\"", "Long"),
    ] {
        let text = format!("permit (principal, action, resource) when {{ {condition} }};");
        let error = load_with(&text, &declared()).err().unwrap().to_string();
        assert!(error.contains(says), "{condition}: {error}");
    }
}

/// An error of one agent's evaluation must not be another agent's permit, or the reverse, because both
/// have the same policies.
#[test]
fn an_error_by_the_claims_of_one_agent_is_not_shared_with_another() {
    let text = r#"@id("sum") permit (principal, action, resource)
                    when { principal has level && principal.level + 9223372036854775800 > 0 };"#;
    for order in [[1, 100], [100, 1]] {
        let engine = engine(text);
        for level in order {
            let token = claims(&json!({ "level": level }));
            let expected = if level == 1 { "forward" } else { "error" };
            assert_eq!(
                word(&decide(&engine, Some(&token), "t")),
                expected,
                "{order:?}"
            );
        }
    }
}

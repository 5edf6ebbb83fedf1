//! Claims of an agent's token as attributes that policies read.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use thoughtgate_policy::{
    ClaimError, ClaimType, Claims, Decision, Declared, DeclaredClaim, Engine, LoadErrors, Options,
    Principal, Query, Source, StatedError, Target,
};

use crate::{now, word};

pub fn declared() -> Declared {
    let keys = |keys: &[&str]| Some(keys.iter().map(|key| (*key).to_owned()).collect());
    let nested = [
        ("roles", &["realm_access", "roles"][..]),
        ("client_roles", &["resource_access", "my.client", "roles"]),
        ("scopes", &["https://idp/auth", "scope"]),
    ]
    .map(|(name, path)| {
        let (kind, path) = (ClaimType::Set, keys(path));
        (name.to_owned(), DeclaredClaim { kind, path })
    });
    let declared = [
        ("groups", ClaimType::Set),
        ("scope", ClaimType::Set),
        ("department", ClaimType::Text),
        ("admin", ClaimType::Bool),
        ("level", ClaimType::Number),
        ("https://idp/role", ClaimType::Text),
    ];
    let declared = declared.map(|(name, kind)| (name.to_owned(), kind.into()));
    let all: BTreeMap<_, _> = declared.into_iter().chain(nested).collect();
    all.into()
}

fn load_with(text: &str, claims: &Declared) -> Result<Engine, LoadErrors> {
    let source = Source {
        name: "test.cedar".to_owned(),
        text: text.to_owned(),
    };
    let options = Options {
        claims: claims.clone(),
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
fn a_nested_claim_is_found_by_its_path_and_read_by_its_name() {
    let engine = engine(
        r#"@id("admin") permit (principal, action, resource == Tool::"restart")
             when { principal has roles && principal.roles.contains("admin") };
           @id("client") permit (principal, action, resource == Tool::"write")
             when { principal has client_roles && principal.client_roles.contains("editor") };
           @id("scopes") permit (principal, action, resource == Tool::"read")
             when { principal has scopes && principal.scopes.contains("read") };"#,
    );
    for (token, tool, expected) in [
        (
            json!({"realm_access": {"roles": ["admin"]}}),
            "restart",
            "forward",
        ),
        (
            json!({"realm_access": {"roles": ["dev"]}}),
            "restart",
            "reject",
        ),
        (json!({"realm_access": {}}), "restart", "reject"),
        (json!({}), "restart", "reject"),
        // The name that policies have is not a place in the token, nor is a key with a dot a path.
        (json!({"roles": ["admin"]}), "restart", "reject"),
        (
            json!({"realm_access.roles": ["admin"]}),
            "restart",
            "reject",
        ),
        (
            json!({"resource_access": {"my.client": {"roles": ["editor"]}}}),
            "write",
            "forward",
        ),
        (
            json!({"resource_access": {"my": {"client": {"roles": ["editor"]}}}}),
            "write",
            "reject",
        ),
        (
            json!({"https://idp/auth": {"scope": "openid read"}}),
            "read",
            "forward",
        ),
    ] {
        let decision = decide(&engine, Some(&claims(&token)), tool);
        assert_eq!(word(&decision), expected, "{token} {tool}");
    }
    for (token, wanted) in [
        (
            json!({"realm_access": {"roles": "admin"}}),
            "claim `realm_access.roles` of the token is not a list of strings",
        ),
        (
            json!({"realm_access": ["admin"]}),
            "claim `realm_access` of the token is not an object",
        ),
        (
            json!({"resource_access": {"my.client": null}}),
            "claim `resource_access.my.client` of the token is not an object",
        ),
    ] {
        assert_eq!(read(&token).unwrap_err().to_string(), wanted);
    }
    let large = json!({"realm_access": {"roles": ["x".repeat(16 * 1024)]}});
    assert_eq!(read(&large), Err(ClaimError::TooLarge));
}

#[test]
fn a_declaration_that_policies_cannot_read_is_refused_at_load() {
    let path = Some(vec!["realm_access".to_owned(), "roles".to_owned()]);
    let kind = ClaimType::Set;
    let declared = BTreeMap::from([("realm-roles".to_owned(), DeclaredClaim { kind, path })]);
    let error = load_with("permit (principal, action, resource);", &declared.into());
    let error = error.err().unwrap().to_string();
    assert!(
        error.starts_with("claim `realm-roles` of `agent.jwt.claims`: "),
        "{error}"
    );
}

#[test]
fn stated_claims_have_the_declared_names_and_types() {
    let state = |stated: Value| Claims::stated(&declared(), stated.as_object().unwrap());
    let token = json!({"groups": ["b", "a"], "realm_access": {"roles": ["x"]}, "scope": "c d"});
    let stated = json!({"groups": ["a", "b"], "roles": ["x"], "scope": "d c"});
    assert_eq!(state(stated), Ok(claims(&token)));
    assert_eq!(state(json!({})), Ok(claims(&json!({}))));
    for (stated, says) in [
        (
            json!({"groups": "a"}),
            "claim `groups` is declared as `set`, but is not a list of strings; leave it out for a token \
             without it",
        ),
        (json!({"admin": null}), "is not a boolean; leave it out"),
        (json!({"level": 1.5}), "is not a whole number of 64 bits"),
        (json!({"roles": 1}), "claim `roles` is declared as `set`"),
        (json!({"tenant": true}), "such as `tenant: bool`"),
        (
            json!({"principal.groups": ["a"]}),
            "not declared; did you mean `groups`?",
        ),
        (
            json!({"team": "a"}),
            "claim `team` is not declared; declare it with its type in `agent.jwt.claims`",
        ),
        (
            json!({"group": ["a"]}),
            "not declared; did you mean `groups`?",
        ),
        (
            json!({"realm_access": {"roles": ["a"]}}),
            "state what is read from it by its declared name, such as `roles`",
        ),
    ] {
        let errors = state(stated.clone()).unwrap_err();
        assert_eq!(errors.len(), 1, "{errors:?}");
        let error = errors[0].to_string();
        assert!(error.contains(says), "{stated}: {error}");
    }
    let errors = state(json!({"a_b_c": 1, "groups": 1, "department": "x".repeat(16 * 1024 + 1)}));
    let errors = errors.unwrap_err();
    assert_eq!(
        (errors.len(), errors.last()),
        (3, Some(&StatedError::TooLarge))
    );
}

/// Only what an agent may have: an argument with the name of a claim is none.
#[test]
fn an_argument_with_the_name_of_a_claim_needs_no_token() {
    let engine = engine(
        r#"permit (principal, action == Action::"tools/call", resource)
             unless { context.arguments has groups && context.arguments.groups.contains("x") };"#,
    );
    assert_eq!(word(&decide(&engine, None, "t")), "forward");
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
    let older = BTreeMap::from([("groups".to_owned(), ClaimType::Set.into())]);
    let token = json!({"admin": true});
    let older = Claims::read(&older.into(), token.as_object().unwrap()).unwrap();
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
    let team = "declare it with its type in `agent.jwt.claims`, such as `team: set`";
    let name = "in `agent.jwt.claims`, such as `name: {path: [team, name], type: set}`";
    for (condition, help) in [
        ("principal has team && principal.team.contains(\"a\")", team),
        ("principal.team == \"a\"", team),
        ("principal has team.name", name),
        ("principal has team && principal.team.name == \"a\"", name),
        (
            "principal has team && principal[\"team\"][\"name\"].contains(\"a\")",
            name,
        ),
    ] {
        let text = format!("\npermit (principal, action, resource) when {{ {condition} }};");
        let error = load_with(&text, &declared()).err().unwrap().to_string();
        assert!(error.starts_with("test.cedar:2:1: "), "{error}");
        let no = "reads `principal.team`, but no claim `team` is declared; ";
        assert!(error.contains(no) && error.contains(help), "{error}");
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

//! Claims of tokens in `thoughtgate test` and `thoughtgate explain`, which have no token.

use serde_json::Value;

use super::run;

const POLICIES: &str = r#"
@id("dev") permit (principal, action == Action::"tools/call", resource == Tool::"search")
when { principal has groups && principal.groups.contains("dev") };
@id("admin") permit (principal, action == Action::"tools/call", resource == Tool::"restart")
when { principal has roles && principal.roles.contains("admin") }
unless { context.arguments has force && context.arguments.force };
@id("suspended") forbid (principal, action == Action::"tools/call", resource == Tool::"search")
when { principal has suspended && principal.suspended };
@id("open") permit (principal, action == Action::"tools/call", resource == Tool::"status");
"#;

const CLAIMS: &str = "
      groups: set
      scope: set
      suspended: bool
      level: number
      roles: {path: [realm_access, roles], type: set}
";

/// A folder with policies, and a configuration that declares these claims.
fn folder(claims: &str, cases: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config =
        format!("policy: p.cedar\nagent:\n  jwt:\n    key_file: key.pem\n    claims:{claims}");
    for (name, text) in [
        ("p.cedar", POLICIES),
        ("thoughtgate.yaml", &config),
        ("cases.yaml", cases),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn test(cases: &str) -> (Option<i32>, String, String) {
    let arguments = ["test", "--config", "thoughtgate.yaml", "cases.yaml"];
    run(folder(CLAIMS, cases).path(), &arguments)
}

fn explain(arguments: &[&str]) -> (Option<i32>, String, String) {
    let all = [&["explain", "--config", "thoughtgate.yaml"], arguments].concat();
    run(folder(CLAIMS, "").path(), &all)
}

/// The answer in words.
fn words(arguments: &[&str]) -> String {
    let (code, out, err) = explain(arguments);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{arguments:?}");
    out
}

#[test]
fn a_case_has_the_claims_that_it_states_and_no_others() {
    let (code, out, err) = test(
        r"
- {call: search, agent: a, claims: {groups: [dev, sre]}, expect: permit, by: [dev]}
- {call: search, agent: a, claims: {groups: [sre]}, expect: refuse, by: []}
- {call: search, agent: a, claims: {}, expect: refuse, by: []}
- {call: search, agent: a, expect: refuse, by: []}
- {call: search, agent: a, claims: {groups: [dev], suspended: true}, expect: refuse, by: [suspended]}
- {call: search, agent: a, claims: {groups: [dev], suspended: false, scope: read write, level: 3}, expect: permit}
- {call: restart, agent: a, claims: {roles: [admin]}, expect: permit, by: [admin]}
- {call: restart, agent: a, claims: {groups: [admin]}, expect: refuse}
- {call: status, agent: a, expect: permit, by: [open]}
",
    );
    let expected = "9 cases: 9 as expected, 0 different\n";
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), expected, ""));
}

#[test]
fn claims_that_are_not_declared_or_of_another_type_are_mistakes_of_the_file() {
    let (code, out, err) = test(
        r"- {call: search, agent: a, claims: {groups: dev, team: [dev]}, expect: permit}
- {call: search, agent: a, claims: {level: 1.5, suspended: null}, expect: permit}
- {call: search, agent: a, claims: {realm_access: {roles: [admin]}}, expect: permit}
- {call: search, agent: a, claims: {group: [dev]}, expect: permit}
",
    );
    assert_eq!((code, out.as_str()), (Some(2), ""));
    let expected = "\
thoughtgate: error: cases.yaml:1:36: claim `groups` is declared as `set`, but is not a list of strings; leave it out for a token without it
thoughtgate: error: cases.yaml:1:36: claim `team` is not declared; declare it with its type in `agent.jwt.claims` (set, text, bool or number), such as `team: set`
thoughtgate: error: cases.yaml:2:36: claim `level` is declared as `number`, but is not a whole number of 64 bits; leave it out for a token without it
thoughtgate: error: cases.yaml:2:36: claim `suspended` is declared as `bool`, but is not a boolean; leave it out for a token without it
thoughtgate: error: cases.yaml:3:36: claim `realm_access` is not declared; state what is read from it by its declared name, such as `roles`
thoughtgate: error: cases.yaml:4:36: claim `group` is not declared; did you mean `groups`?
";
    assert_eq!(err, expected);
    for (cases, says) in [
        (
            "- {call: a, agent: a, claims: [dev], expect: permit}",
            "cases.yaml:1:31: `claims`: expected a mapping",
        ),
        (
            "- {call: a, agent: a, claims: {groups: [], groups: [dev]}, expect: permit}",
            "cases.yaml:1:44: `claims`: duplicate key `groups`",
        ),
    ] {
        let (code, _, err) = test(cases);
        assert_eq!(code, Some(2));
        assert!(err.contains(says), "{cases}: {err}");
    }
}

#[test]
fn a_call_is_explained_by_the_claims_that_are_given() {
    let search = ["--tool", "search", "--agent", "a"];
    let with = |claims| words(&[&search[..], &["--claims", claims]].concat());
    let permitted = with(r#"{"groups": ["dev"]}"#);
    assert!(
        permitted.contains("decision: permit by `dev`\n") && !permitted.contains("claims: none"),
        "{permitted}"
    );
    let suspended = with(r#"{"groups": ["dev"], "suspended": true}"#);
    assert!(
        suspended.contains("decision: refuse by `suspended`\n"),
        "{suspended}"
    );
    let without = words(&search);
    assert!(
        without.contains("decision: refuse, since no policy permits it\n")
            && without.contains(
                "claims: none, as in a token without `principal.groups`, `principal.suspended`; pass others with --claims\n"
            ),
        "{without}"
    );
    let other = words(&["--tool", "status", "--agent", "a"]);
    assert!(!other.contains("claims"), "{other}");
}

#[test]
fn a_line_of_the_audit_has_no_claims_and_the_answer_says_so() {
    let line = |tool: &str| {
        format!(
            r#"{{"time":"2026-01-05T20:00:00Z","agent":"a","method":"tools/call","subject":"{tool}","decision":"forward"}}"#
        )
    };
    let search = line("search");
    let found = words(&["--audit", &search]);
    assert!(
        found.contains(
            "decision: unknown, since it depends on claims of the agent's token, which the audit line does not have; pass them with --claims\n"
        ) && found.contains("would permit, depending on `principal.groups`\n"),
        "{found}"
    );
    let restart = words(&["--audit", &line("restart")]);
    assert!(
        restart.contains("the argument `force`, and on claims of the agent's token")
            && restart.contains("pass them with --arguments and --claims")
            && restart.contains("depending on `context.arguments.force`, `principal.roles`"),
        "{restart}"
    );
    let json = words(&["--audit", &line("restart"), "--format", "json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["missing"], serde_json::json!(["arguments", "claims"]));
    assert_eq!(json["policies"][0]["claims"], serde_json::json!(["roles"]));
    let known = words(&["--audit", &search, "--claims", r#"{"groups": ["dev"]}"#]);
    assert!(known.contains("decision: permit by `dev`\n"), "{known}");
    // Whatever the claims are.
    let status = words(&["--audit", &line("status")]);
    assert!(status.contains("decision: permit by `open`\n"), "{status}");
}

#[test]
fn wrong_claims_of_a_call_end_with_2() {
    for (claims, says) in [
        ("{SECRET", "`--claims` is not a JSON object"),
        ("[\"dev\"]", "`--claims` is not a JSON object"),
        (
            r#"{"groups": ["a"], "groups": ["b"]}"#,
            "`--claims` is not a JSON object with unique keys, such as '{\"groups\": [\"dev\"]}'",
        ),
        (
            r#"{"groups": "SECRET"}"#,
            "`--claims`: claim `groups` is declared as `set`, but is not a list of strings",
        ),
        (
            r#"{"teams": ["a"]}"#,
            "`--claims`: claim `teams` is not declared; declare it with its type in `agent.jwt.claims`",
        ),
    ] {
        let arguments = ["--tool", "search", "--agent", "a", "--claims", claims];
        let (code, out, err) = explain(&arguments);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{claims}");
        assert!(
            err.contains(says) && !err.contains("SECRET"),
            "{claims}: {err}"
        );
    }
}

#[test]
fn a_declaration_with_a_mistake_is_refused_with_the_form() {
    for (claims, says) in [
        (
            " {roles: {path: realm_access.roles, type: set}}\n",
            "`agent.jwt.claims`: expected a list",
        ),
        (
            " {roles: {pth: [a], type: set}}\n",
            "unknown key `pth`; did you mean `path`?",
        ),
        (
            " {roles: {path: [a]}}\n",
            "{name: {path: [key, …], type: set}}",
        ),
        (
            " {roles: {path: [a], type: list}}\n",
            "{claim: set | text | bool | number}",
        ),
        (" {groups: 1}\n", "`agent.jwt.claims`: "),
        (
            " {groups: set, roles: set, suspended: bool, my-roles: {path: [a], type: set}}\n",
            "claim `my-roles` of `agent.jwt.claims`: a claim with a `path` is named for policies",
        ),
        (
            " {groups: set, suspended: bool, roles: {path: [], type: set}}\n",
            "claim `roles` of `agent.jwt.claims`: `path` has an empty key, or none",
        ),
    ] {
        let arguments = ["test", "--config", "thoughtgate.yaml", "cases.yaml"];
        let (code, _, err) = run(folder(claims, "- {}").path(), &arguments);
        assert_eq!(code, Some(2));
        assert!(err.contains(says), "{claims}: {err}");
    }
}

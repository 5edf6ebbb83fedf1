//! `thoughtgate explain`.

use serde_json::Value;

use super::{folder, run};

/// A line of the audit log for a call of `write_file`.
const LINE: &str = r#"{"time":"2026-01-05T20:00:00.123Z","agent":"deployer","method":"tools/call","subject":"write_file","arguments_sha256":"00","decision":"reject","policies":[],"status":403}"#;

/// The result of `thoughtgate explain` with these arguments.
fn explain(arguments: &[&str]) -> (Option<i32>, String, String) {
    let folder = folder("audit.jsonl", &format!("{{}}\n{LINE}\n"));
    let all = [&["explain", "--config", "thoughtgate.yaml"], arguments].concat();
    run(folder.path(), &all)
}

/// The answer in words.
fn words(arguments: &[&str]) -> String {
    let (code, out, err) = explain(arguments);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{arguments:?}");
    out
}

#[test]
fn the_decision_its_policies_and_those_that_nearly_apply_are_told() {
    assert_eq!(
        words(&["--tool", "deploy", "--time", "2026-01-05T20:00:00Z"]),
        "\
a call of the tool `deploy` by agent `agent`
decision: approve by `deploy`
mode: enforce, so decisions are carried out
approval: asks the one configured approver (`approval.slack.approvers`), in the channel of `approval.slack.channel`
* `deploy` at p.cedar:6:1: permits after approval
- `quiet hours` at p.cedar:7:1: would forbid, but this is false: when { context.now.toTime() > duration(\"22h\") } at p.cedar:8:8
"
    );
    assert_eq!(
        words(&["--tool", "deploy", "--time", "2026-01-05T23:00:00Z"]),
        "\
a call of the tool `deploy` by agent `agent`
decision: refuse by `quiet hours`
mode: enforce, so decisions are carried out
- `deploy` at p.cedar:6:1: permits after approval
* `quiet hours` at p.cedar:7:1: forbids
"
    );
    // Without a time, and only where one matters, it says which it has taken.
    let now = words(&["--tool", "deploy"]);
    let line = now.lines().nth(1).unwrap_or_default();
    assert!(
        line.starts_with("time: 2") && line.ends_with(", the present; --time gives another"),
        "{now}"
    );
    let write = ["--tool", "write_file", "--agent", "deployer", "--arguments"];
    let with = |arguments| words(&[&write[..], &[arguments]].concat());
    assert_eq!(
        with(r#"{"path":"/etc/passwd"}"#),
        "\
a call of the tool `write_file` by agent `deployer`
decision: refuse, since no policy permits it
mode: enforce, so decisions are carried out
- `write` at p.cedar:3:1: would permit, but this is false: when { context.arguments.path like \"/srv/*\" } at p.cedar:5:38 (only below /srv)
"
    );
    let failed = with(r#"{"path":1}"#);
    assert!(
        failed.contains("cannot be evaluated: argument `path` is a number"),
        "{failed}"
    );
    let other = words(&["--tool", "write_file"]);
    assert!(
        other.contains("would permit, but for another agent"),
        "{other}"
    );
    let list = words(&["--method", "tools/list"]);
    assert!(
        list.contains("decision: permit by `thoughtgate:baseline`")
            && list.contains("\n`thoughtgate:baseline` is built in: it permits MCP's handshake")
            && list.contains("; no configured policy names this"),
        "{list}"
    );
    let none = words(&["--tool", "rm"]);
    assert!(none.contains("\nno policy names this agent"), "{none}");
    let uri = words(&["--method", "resources/read", "--tool", "file:///a"]);
    assert!(uri.contains("`resources/read` of `file:///a`"), "{uri}");
}

#[test]
fn the_same_is_told_as_json() {
    let out = words(&[
        "--tool",
        "deploy",
        "--time",
        "2026-01-05T20:00:00Z",
        "--format",
        "json",
    ]);
    let found: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(found["decision"], "approve");
    assert_eq!(found["approval"]["approvers"], 1);
    assert_eq!(
        (&found["mode"], &found["enforcing"]),
        (&"enforce".into(), &true.into())
    );
    let policies = found["policies"].as_array().unwrap();
    let of = |policy: &Value| {
        let text = |name: &str| policy[name].as_str().unwrap_or_default().to_owned();
        (
            text("id"),
            text("effect"),
            text("finding"),
            policy["determining"] == true,
        )
    };
    let row = |id: &str, effect: &str, finding: &str, determining| {
        (
            id.to_owned(),
            effect.to_owned(),
            finding.to_owned(),
            determining,
        )
    };
    assert_eq!(
        policies.iter().map(of).collect::<Vec<_>>(),
        [
            row("deploy", "approve", "applies", true),
            row("quiet hours", "forbid", "false", false)
        ]
    );
    assert_eq!(policies[1]["condition_place"], "p.cedar:8:8");
}

#[test]
fn an_observing_proxy_forwards_what_it_would_refuse_or_hold() {
    let folder = folder("none", "");
    let file = folder.path().join("thoughtgate.yaml");
    let config = std::fs::read_to_string(&file).unwrap() + "mode: observe\n";
    std::fs::write(&file, config).unwrap();
    let explain = |time: &str, more: &[&str]| {
        let call = ["--tool", "deploy", "--time", time];
        let base = ["explain", "--config", "thoughtgate.yaml"];
        let (code, out, err) = run(folder.path(), &[&base[..], &call, more].concat());
        assert_eq!((code, err.as_str()), (Some(0), ""));
        out
    };
    let all_the_same = "mode: observe, so this is what `mode: enforce` would do; the request is forwarded all the same";
    let day = explain("2026-01-05T20:00:00Z", &[]);
    assert!(
        day.contains("decision: approve by `deploy`\n")
            && day.contains(all_the_same)
            && day.contains("approval: would ask the one configured approver"),
        "{day}"
    );
    let night = explain("2026-01-05T23:00:00Z", &[]);
    assert!(
        night.contains("decision: refuse by `quiet hours`\n") && night.contains(all_the_same),
        "{night}"
    );
    let found = explain("2026-01-05T23:00:00Z", &["--format", "json"]);
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!(
        (&found["mode"], &found["enforcing"], &found["decision"]),
        (&"observe".into(), &false.into(), &"refuse".into())
    );
}

#[test]
fn a_line_of_the_audit_is_explained_as_far_as_it_is_known() {
    for given in [LINE, "audit.jsonl:2"] {
        let found = words(&["--audit", given]);
        assert!(found.contains("decision: unknown"), "{found}");
        assert!(found.contains("the audit line says: reject"), "{found}");
        assert!(
            found.contains("depending on `context.arguments.path`"),
            "{found}"
        );
    }
    let found = words(&["--audit", LINE, "--arguments", r#"{"path":"/srv/a"}"#]);
    assert!(found.contains("decision: permit by `write`"), "{found}");
    let observed = LINE.replace("\"decision\"", "\"observed\":true,\"decision\"");
    let found = words(&["--audit", &observed]);
    assert!(
        found.contains("says: reject, not carried out, since the mode was `observe` (its"),
        "{found}"
    );
    let read = LINE.replace("write_file", "list_files");
    let found = words(&["--audit", &read]);
    assert!(found.contains("decision: permit by `read`"), "{found}");
}

#[test]
fn arguments_that_a_line_has_are_used_and_others_are_named() {
    let folder = folder("none", "");
    let policy = r#"permit (principal, action, resource == Tool::"deploy");
@id("prod") forbid (principal, action, resource == Tool::"deploy")
when { context.arguments has deploy && context.arguments.deploy has env && context.arguments.deploy.env == "prod"
  && !(context.arguments has force) };"#;
    std::fs::write(folder.path().join("p.cedar"), policy).unwrap();
    let explain = |shown: &str, more: &[&str]| {
        let line = LINE.replace("write_file", "deploy");
        let line = line.replace(
            "\"decision\"",
            &format!("\"arguments\":{shown},\"decision\""),
        );
        let base = ["explain", "--config", "thoughtgate.yaml", "--audit", &line];
        let (code, out, err) = run(folder.path(), &[&base[..], more].concat());
        assert_eq!((code, err.as_str()), (Some(0), ""));
        out
    };
    let found = explain(r#"{"deploy.env":"prod","force":null,"other":"x"}"#, &[]);
    assert!(found.contains("decision: refuse by `prod`"), "{found}");
    let found = explain(r#"{"deploy.env":"test","force":null}"#, &[]);
    assert!(found.contains("decision: permit by"), "{found}");
    let found = explain(r#"{"deploy.env":"prod"}"#, &[]);
    assert!(
        found.contains("unknown, since it depends on the argument `force`, which the audit line"),
        "{found}"
    );
    let cut = r#"{"deploy.env":"prod… (900 bytes)"}"#;
    let found = explain(cut, &[]);
    assert!(
        found.contains("on the arguments `deploy.env`, `force`, which"),
        "{found}"
    );
    let found = explain(cut, &["--format", "json"]);
    let found: Value = serde_json::from_str(&found).unwrap();
    let missing = serde_json::json!(["deploy.env", "force"]);
    assert_eq!(found["missing_arguments"], missing);
    // What is passed comes before what the line has.
    let given = ["--arguments", r#"{"deploy": {"env": "test"}}"#];
    let found = explain(r#"{"deploy.env":"prod","force":null}"#, &given);
    assert!(found.contains("decision: permit by"), "{found}");
}

#[test]
fn names_that_an_agent_has_chosen_cannot_control_the_terminal() {
    let line = LINE.replace("write_file", r"x\u001b[2J\u202e\u0007");
    let found = words(&["--audit", &line]);
    assert!(
        found.contains(r"`x\u{1b}[2J\u{202e}\u{7}` by agent"),
        "{found}"
    );
    assert!(!found.contains(['\u{1b}', '\u{202e}', '\u{7}']));
}

#[test]
fn misuse_ends_with_2_and_quotes_no_value() {
    for (arguments, expected) in [
        (&[][..], "nothing to explain"),
        (
            &["--tool", "a", "--arguments", "{SECRET"],
            "`--arguments` is not valid JSON; expected an object, such as '{\"path\": \"/srv/a\"}'",
        ),
        (
            &["--tool", "a", "--agent", " "],
            "`--agent` is empty, which no request's agent is",
        ),
        (
            &["--tool", "a", "--argument", "{}"],
            "unknown argument `--argument`; did you mean `--arguments`?",
        ),
        (&["SECRET"], "unknown argument; each value follows its flag"),
        (
            &["--tool", "a", "--time", "SECRET"],
            "`--time`: not a valid time",
        ),
        (
            &["--method", "tools/call"],
            "`tools/call` needs the name of a tool; pass it with --tool\n",
        ),
        (
            &["--method", "tools/list", "--tool", "SECRET"],
            "has no name or URI that policies see; leave --tool out\n",
        ),
        (
            &["--method", "tools/list", "--arguments", "{}"],
            "only `tools/call` has `--arguments`",
        ),
        (
            &["--audit", "SECRET"],
            "not a JSON object, `-`, or FILE:LINE, such as `audit.jsonl:17`",
        ),
        (
            &["--audit", "{SECRET"],
            "not a JSON object of the audit log",
        ),
        (&["--audit", "audit.jsonl:1"], "refused before a decision"),
        (&["--audit", "audit.jsonl:3"], "no such line"),
        (
            &["--tool", "a", "--format", "SECRET"],
            "invalid value for argument `--format`; expected one of `text`, `json`",
        ),
        (
            &["--tool", "a", "--audit", "SECRET"],
            "argument `--tool` cannot be combined with `--audit`",
        ),
        (
            &["--tool", "a", "--tool", "SECRET"],
            "duplicate argument `--tool`",
        ),
    ] {
        let (code, out, err) = explain(arguments);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(err.contains(expected), "{arguments:?}\n{err}");
        assert!(!err.contains("SECRET"), "{err}");
    }
}

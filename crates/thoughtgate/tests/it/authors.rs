//! The commands for authors of policies.

mod claims;
mod explain;

use std::path::Path;
use std::process::Command;

use crate::support::outcome;

/// The policies that the commands are asked about.
pub const POLICIES: &str = r#"
@id("read") permit (principal, action == Action::"tools/call", resource in ToolGroup::"read-only");
@id("write") @reason("only below /srv")
permit (principal == Agent::"deployer", action == Action::"tools/call", resource == Tool::"write_file")
when { context.arguments has path && context.arguments.path like "/srv/*" };
@id("deploy") @approve permit (principal, action == Action::"tools/call", resource == Tool::"deploy");
@id("quiet hours") forbid (principal, action == Action::"tools/call", resource == Tool::"deploy")
when { context.now.toTime() > duration("22h") };
"#;

/// A configuration that has neither upstream nor token, as on a machine of CI.
const CONFIG: &str = "policy: p.cedar\ntool_groups: {read-only: [list_files]}\n\
                      approval: {slack: {token_file: none, channel: C0, approvers: [U0]}}\n";

/// A folder with the configuration, the policies, and a file with this name and text.
pub fn folder(name: &str, text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("thoughtgate.yaml", CONFIG);
    write("p.cedar", POLICIES);
    write(name, text);
    folder
}

/// Runs the binary in `folder`; returns exit code, standard output and standard error.
pub fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_thoughtgate"));
    outcome(command.args(arguments).current_dir(folder))
}

/// The result of `thoughtgate test` on a file with these cases.
fn test(cases: &str) -> (Option<i32>, String, String) {
    let folder = folder("cases.yaml", cases);
    run(
        folder.path(),
        &["test", "--config", "thoughtgate.yaml", "cases.yaml"],
    )
}

#[test]
fn decisions_as_expected_end_with_0() {
    let (code, out, err) = test(
        r#"
- {call: list_files, expect: permit, by: [read]}
- call: write_file
  agent: deployer
  arguments: {path: /srv/a, note: null, size: 1.5}
  expect: permit
- {call: write_file, agent: deployer, arguments: '{"path": "/etc"}', expect: refuse, by: []}
- {call: write_file, expect: refuse}
- {call: deploy, at: 2026-01-05T20:00:00Z, expect: approve, by: [deploy]}
- {call: deploy, at: 2026-01-05T23:00:00Z, expect: refuse, by: ["quiet hours"], why: quiet}
- {prompt: greet, expect: refuse}
- {resource: "file:///a", expect: refuse}
- {resource: "file:///a", method: resources/subscribe, expect: refuse}
- {method: tools/list, expect: permit}
- {method: notifications/initialized, expect: permit}
- {method: GET, expect: permit}
"#,
    );
    let expected = "12 cases: 12 as expected, 0 different\n";
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), expected, ""));
}

#[test]
fn each_difference_has_a_line_with_both_decisions_and_their_policies() {
    let (code, out, err) = test(
        r"
- {call: list_files, expect: refuse}
- {call: list_files, expect: permit, by: [read, write]}
- call: deploy
  at: 2026-01-05T23:00:00Z
  expect: approve
  by: [deploy]
  why: nightly deploys need a human
- {call: rm, expect: permit, by: [remove]}
- {call: write_file, agent: deployer, arguments: {path: 1}, expect: permit}
- {call: list_files, expect: permit}
",
    );
    let expected = "\
cases.yaml:2: a call of the tool `list_files` by `agent`: expected refuse, decided permit by `read`
cases.yaml:3: a call of the tool `list_files` by `agent`: expected permit by `read`, `write`, decided permit by `read`
cases.yaml:4: nightly deploys need a human: a call of the tool `deploy` by `agent`: expected approve by `deploy`, decided refuse by `quiet hours`
cases.yaml:9: a call of the tool `rm` by `agent`: expected permit by `remove`, decided refuse, since no policy permits it; no policy has the id `remove`
cases.yaml:10: a call of the tool `write_file` by `deployer`: expected permit, decided refuse because of an error: argument `path` is a number, but policies read it as a string
6 cases: 1 as expected, 5 different
";
    assert_eq!((code, out.as_str(), err.as_str()), (Some(1), expected, ""));
}

#[test]
fn a_case_without_the_time_that_policies_read_is_a_mistake() {
    let (code, out, err) = test(
        "- {call: deploy, expect: approve}\n- {call: list_files, expect: refuse}\n\
         - {call: deploy, expect: refuse}\n",
    );
    assert_eq!((code, out.as_str()), (Some(2), ""));
    let lines: Vec<&str> = err.lines().collect();
    assert_eq!(lines.len(), 2, "{err}");
    for (line, place) in lines.iter().zip(["cases.yaml:1: ", "cases.yaml:3: "]) {
        assert!(line.contains(place), "{line}");
        assert!(
            line.ends_with("give the case a time, such as `at: 2026-01-05T23:00:00Z`"),
            "{line}"
        );
    }
}

#[test]
fn a_file_with_mistakes_ends_with_2_and_names_them() {
    for (cases, expected) in [
        ("", "cases.yaml: no cases"),
        ("[]", "cases.yaml: no cases"),
        ("- [", "cases.yaml:1:"),
        ("call: deploy", "cases.yaml:1:1: expected a list"),
        (
            "- {cal: deploy, expect: permit}",
            "cases.yaml:1:4: unknown key `cal`; did you mean `call`?",
        ),
        (
            "- {call: a, expect: permit, expect: refuse}",
            "cases.yaml:1:29: duplicate key `expect`",
        ),
        (
            "- {call: a, arguments: {b: 1, b: 2}, expect: permit}",
            "cases.yaml:1:31: `arguments`: duplicate key `b`",
        ),
        (
            "- {expect: permit}",
            "cases.yaml:1:3: the case needs one of",
        ),
        (
            "- {call: a, prompt: b, expect: permit}",
            "cases.yaml:1:3: the case needs one of",
        ),
        ("- {call: a}", "cases.yaml:1:3: the case needs `expect`"),
        (
            "- {call: a, by: b, expect: permit}",
            "cases.yaml:1:17: `by`: expected a list",
        ),
        (
            "- {call: a, agent: '', expect: permit}",
            "cases.yaml:1:3: `agent` is empty, which no request's is",
        ),
        (
            "- {call: a, expect: permit",
            "cases.yaml:1:3: not valid YAML: unclosed quotation mark, list or mapping",
        ),
        (
            "- {prompt: a, arguments: {b: 1}, expect: permit}",
            "cases.yaml:1:26: only a `call` has `arguments`",
        ),
        (
            "- {call: a, arguments: '{', expect: permit}",
            "cases.yaml:1:24: `arguments`: the text is not valid JSON",
        ),
        (
            "- {method: tools/call, expect: permit}",
            "needs the name of a tool",
        ),
    ] {
        let (code, out, err) = test(cases);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{cases}");
        assert!(err.contains(expected), "{cases}\n{err}");
    }
    // All of them at once.
    let (_, _, err) = test("- {call: a, at: noon, expect: allow}\n- {call: b}\n");
    let expected = "\
thoughtgate: error: cases.yaml:1:31: `expect`: expected permit, refuse or approve
thoughtgate: error: cases.yaml:1:17: `at`: not a valid time; expected RFC 3339, as in 2026-01-05T23:00:00Z or 2026-01-06T00:00:00+01:00, not before 1970
thoughtgate: error: cases.yaml:2:3: the case needs `expect`: permit, refuse or approve
";
    assert_eq!(err, expected);
}

#[test]
fn a_mistake_of_form_in_one_case_hides_none_in_another() {
    let (_, _, err) = test(
        "- {call: a, expect: allow}\n- call: b\n  expct: permit\n- call: c\n  claims:\n    - a\n  expect: permit\n- {call: d, by: e, expect: permit}\n",
    );
    let mut found: Vec<&str> = err.lines().collect();
    found.sort_unstable();
    for (line, expected) in found.iter().zip([
        "cases.yaml:1:21: `expect`: expected permit, refuse or approve",
        "cases.yaml:3:3: unknown key `expct`; did you mean `expect`?",
        "cases.yaml:6:5: `claims`: expected a mapping",
        "cases.yaml:8:17: `by`: expected a list",
    ]) {
        assert!(line.contains(expected), "{expected}\n{err}");
    }
    assert_eq!(found.len(), 4, "{err}");
}

#[test]
fn an_agent_that_comes_with_requests_has_to_be_named() {
    let folder = folder("cases.yaml", "- {call: list_files, expect: permit}\n");
    let (code, _, err) = run(
        folder.path(),
        &["--config", "thoughtgate.yaml", "test", "cases.yaml"],
    );
    assert_eq!(code, Some(0), "{err}");
    let config = format!("{CONFIG}agent: {{header: x-agent}}\n");
    std::fs::write(folder.path().join("thoughtgate.yaml"), config).unwrap();
    let (code, _, err) = run(
        folder.path(),
        &["--config", "thoughtgate.yaml", "test", "cases.yaml"],
    );
    assert_eq!(code, Some(2));
    assert!(
        err.contains("cases.yaml:1:3: the case needs `agent`"),
        "{err}"
    );
}

#[test]
fn misuse_of_a_command_ends_with_2() {
    let folder = folder("cases.yaml", "- {call: list_files, expect: refuse}\n");
    for (arguments, expected) in [
        (&["test"][..], "missing argument `<FILE>...`"),
        (
            &["tests", "cases.yaml"],
            "unknown command; expected one of `test`, `explain`",
        ),
        (
            &["--online"],
            "`--online` is a part of `--check`; pass both",
        ),
        (&["test", "cases.yaml"], "no policy is configured"),
        (
            &["test", "--config", "thoughtgate.yaml", "none.yaml"],
            "failed to read file of cases `none.yaml`",
        ),
    ] {
        let (code, out, err) = run(folder.path(), arguments);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(err.contains(expected), "{arguments:?}\n{err}");
    }
    // Without a configuration, a policy may ask for approval.
    let cases = "- {call: deploy, at: 2026-01-05T20:00:00Z, expect: approve}\n";
    std::fs::write(folder.path().join("deploy.yaml"), cases).unwrap();
    let policy = POLICIES.replace("resource in ToolGroup::\"read-only\"", "resource");
    std::fs::write(folder.path().join("q.cedar"), policy).unwrap();
    let (code, out, err) = run(
        folder.path(),
        &["test", "--policy", "q.cedar", "deploy.yaml"],
    );
    assert_eq!(code, Some(0), "{out}{err}");
}

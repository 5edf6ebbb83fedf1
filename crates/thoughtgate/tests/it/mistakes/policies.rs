//! Mistakes in policies, and files that have none.

use thoughtgate_test::process::Output;

use super::{config, run};
use crate::support::{ALL, PATIENCE, Proxy, before, check, policy};

#[test]
fn files_without_a_policy_are_a_mistake_unless_they_say_so() {
    let (folder, path) = config("upstream: {url: 'http://127.0.0.1:1/mcp'}\npolicy: policies\n");
    let policies = folder.path().join("policies");
    std::fs::create_dir(&policies).unwrap();
    let write = |text| std::fs::write(policies.join("p.cedar"), text).unwrap();
    let explain = ["explain", "--config", &path, "--tool", "a"];
    for text in ["", "\n// permit (principal, action, resource);\n"] {
        write(text);
        for arguments in [&["--config", &path, "--check"][..], &explain] {
            let (code, out, err) = run(arguments, &[]);
            assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}");
            assert_eq!(
                err,
                "thoughtgate: error: the policy files contain no policy; to refuse everything, write \
                 `forbid (principal, action, resource);`\n"
            );
        }
    }
    let proxy = Proxy::with(&["--config", &path], &[]);
    let log = proxy.process.output(Output::Stderr);
    let warned = "every tool call is refused: the policy files contain no policy";
    assert!(log.iter().any(|line| line.contains(warned)), "{log:?}");
    write("forbid (principal, action, resource);");
    let (code, _, err) = run(&["--config", &path, "--check"], &[]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
}

#[test]
fn a_file_without_a_policy_beside_others_is_told() {
    let (folder, path) = config("upstream: {url: 'http://127.0.0.1:1/mcp'}\npolicy: policies\n");
    let policies = folder.path().join("policies");
    std::fs::create_dir(&policies).unwrap();
    std::fs::write(policies.join("permits.cedar"), ALL).unwrap();
    std::fs::write(policies.join("forbids.cedar"), "\n").unwrap();
    let expected = format!(
        "policy file `{}` contains no policy",
        policies.join("forbids.cedar").display()
    );
    let (code, out, err) = run(&["--config", &path, "--check"], &[]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("ok: "), "{out}");
    assert_eq!(err, format!("thoughtgate: warning: {expected}\n"));
    let proxy = Proxy::with(&["--config", &path], &[]);
    let log = proxy.process.output(Output::Stderr);
    assert!(log.iter().any(|line| line.contains(&expected)), "{log:?}");
    assert!(!log.iter().any(|line| line.contains("permits.cedar")));
    // A reload that empties another file says so, too.
    std::fs::write(policies.join("more.cedar"), "// later").unwrap();
    let more = format!(
        "policy file `{}` contains no policy",
        policies.join("more.cedar").display()
    );
    proxy
        .process
        .wait_line(Output::Stderr, &more, PATIENCE)
        .unwrap();
}

#[test]
fn policies_that_do_not_mean_what_they_say() {
    let (folder, path) = config(
        "upstream: {url: 'http://127.0.0.1:1/mcp'}\npolicy: p.cedar\npolicy_annotations: [team]\n\
         tool_groups: {destructive: [drop]}\nagent: {groups: {ops: [alice]}}\n",
    );
    let check = |policy: &str| {
        std::fs::write(folder.path().join("p.cedar"), policy).unwrap();
        let (code, out, err) = run(&["--config", &path, "--check"], &[]);
        (code, out + &err)
    };
    for (policy, expected) in [
        ("@aprove", "p.cedar:1:1: policy `policy0@"),
        ("@Approve", "did you mean `@approve`?"),
        ("@Team", "unknown annotation `@Team`"),
        ("@risk", "`policy_annotations`"),
    ] {
        let (code, said) = check(&format!("{policy}(\"x\") {ALL}"));
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(expected), "{said}");
    }
    let (code, said) = check(
        r#"forbid (principal, action == Action::"tools/call", resource in ToolGroup::"destructve");"#,
    );
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("did you mean `ToolGroup::\"destructive\"`?"),
        "{said}"
    );
    assert_eq!(check(&format!("@team(\"x\") {ALL}")).0, Some(0));
}

#[test]
fn all_mistakes_in_policies_are_reported_at_once() {
    let (folder, path) = config("upstream: {url: 'http://127.0.0.1:1/mcp'}\npolicy: .\n");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "p.cedar",
        "@aprove permit (principal, action, resource)\npermit (principal == \"bob\", action, resource);\n",
    );
    write(
        "q.cedar",
        "@id(\"q\") permit (principal, action, resource == Tol::\"x\");\n",
    );
    let (code, out, err) = run(&["--config", &path, "--check"], &[]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    let lines: Vec<&str> = err.lines().collect();
    assert_eq!(lines.len(), 4, "{err}");
    for (line, expected) in lines.iter().zip([
        "p.cedar:1:1: policy `policy0@",
        "p.cedar:1:45: expected `;`",
        "p.cedar:2:22: expected an entity uid",
        "q.cedar:1:49: for policy `q`, unrecognized entity type `Tol`; did you mean `Tool`?",
    ]) {
        assert!(
            line.starts_with("thoughtgate: error: failed to load policies: "),
            "{line}"
        );
        assert!(line.contains(expected), "{line}\n{expected}");
    }
}

#[test]
fn a_bad_policy_is_named_with_its_place() {
    let file = policy(
        "permit (principal, action, resource);\npermit (principal, action == Action::\"tool/call\", resource);\n",
    );
    let arguments = before("http://127.0.0.1:1/mcp", file.path());
    let (code, _, error) = run(&arguments, &[]);
    assert_eq!(code, Some(2));
    assert!(
        error.contains(&format!("{}:2:", file.path().display())),
        "{error}"
    );
    assert!(error.contains("tools/call"), "{error}");
}

#[test]
fn approval_needs_a_channel() {
    let text = "@id(\"pay\") @approve permit (principal, action, resource);";
    let (code, error) = check(text, &[]);
    assert_eq!(code, Some(2));
    assert!(
        error.contains("`pay` asks for approval, but no approval channel is configured"),
        "{error}"
    );
}

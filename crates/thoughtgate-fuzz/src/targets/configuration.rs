//! The configuration: any file and environment is read in bounded time and memory without a panic,
//! and an error never shows a value, which may be a secret.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;
use thoughtgate::Flags;

use super::target::{CUT, Check, Target, kind, wording};
use crate::random::Random;

pub const TARGET: Target = Target {
    name: "configuration",
    generate,
    check: || {
        let folder = TempDir::new()?;
        fs::write(
            folder.path().join("policies.cedar"),
            "permit (principal, action, resource);\n",
        )?;
        Ok(Box::new(move |input: &[u8]| check(&folder, input)) as Check)
    },
};

/// Stands where secrets stand; nothing else has it in its name.
const SECRET: &str = "hunter2-S3CRET-0123";

/// A file, then variables of the environment, one a line.
fn generate(random: &mut Random) -> Vec<u8> {
    let mut text = String::new();
    for _ in 0..=random.below(9) {
        let secret = if random.one_in(3) { SECRET } else { "x" };
        text.push_str(&section(random, secret));
    }
    text.push_str(CUT);
    for _ in 0..random.below(4) {
        let name = random.pick(&[
            "UPSTREAM_URL",
            "APPROVAL_SLACK_TOKEN",
            "APPROVAL_SLACK_SIGNING_SECRET",
            "LISTEN",
            "LIMITS_BODY_BYTES",
            "TIMEOUTS_HEAD",
            "AGENT_GROUPS",
            "TOOL_GROUPS",
            "AUDIT",
            "ALLOWED_HOSTS",
            "AGENT_HEADER",
            "WORKERS",
            "APPROVAL_REDACT",
            "APPROVAL_TIMEOUT",
        ]);
        let value = value(random, SECRET);
        // Writing to a string does not fail.
        let _ = writeln!(text, "THOUGHTGATE_{name}={value}");
    }
    text.into_bytes()
}

fn section(random: &mut Random, secret: &str) -> String {
    let value = value(random, secret);
    match random.below(16) {
        0 => format!("upstream:\n  url: http://user:{secret}@127.0.0.1:1/mcp\n"),
        1 => "upstream: {url: \"http://127.0.0.1:1/mcp\"}\n".to_owned(),
        2 => "policy: policies.cedar\n".to_owned(),
        3 => format!("listen: {value}\n"),
        4 => format!("limits:\n  body_bytes: {value}\n  depth: 64\n"),
        5 => format!("timeouts:\n  head: {value}\n  drain: 1s\n"),
        6 => format!(
            "approval:\n  slack:\n    token: {secret}\n    channel: {value}\n    approvers: [U1]\n"
        ),
        7 => format!("approval:\n  slack:\n    signing_secret: {value}\n"),
        8 => format!("agent:\n  header: {value}\n"),
        9 => format!("agent:\n  groups:\n    ops: [{value}]\n"),
        10 => format!("tool_groups:\n  read-only: {value}\n"),
        11 => format!("allowed_origins: [{value}, \"{secret}\"]\n"),
        12 => format!("workers: {value}\n"),
        13 => format!("audit: {value}\n"),
        14 => format!("public_url: https://user:{secret}@gate.example/{value}\n"),
        _ => {
            format!("agent: {{jwt: {{claim: {value}, audience: {secret}, key_file: none.pem}}}}\n")
        }
    }
}

fn value(random: &mut Random, secret: &str) -> String {
    match random.below(12) {
        0 => random.below(100_000).to_string(),
        1 => "10s".to_owned(),
        2 => format!("\"{secret}\""),
        3 => format!("[{secret}]"),
        4 => format!("{{a: {secret}}}"),
        5 => format!("'{secret}"),
        6 => format!("!!int {secret}"),
        7 => format!("&a {secret}"),
        8 => "*a".to_owned(),
        9 => format!("|\n    {secret}\n"),
        10 => "99999999999999999999999".to_owned(),
        _ => secret.to_owned(),
    }
}

fn check(folder: &TempDir, input: &[u8]) -> Result<u64, String> {
    let text = String::from_utf8_lossy(input);
    let (file, variables) = text.split_once(CUT).unwrap_or((&text, ""));
    if reaches_out(&text) {
        return Ok(0);
    }
    let path = folder.path().join("thoughtgate.yaml");
    // Not the text but the bytes: a file need not be UTF-8.
    // Where characters were replaced, a position in the text is not one in the input.
    let bytes = input
        .get(..file.len())
        .filter(|_| text.len() == input.len())
        .unwrap_or(input);
    fs::write(&path, bytes).map_err(|error| format!("not written: {error}"))?;
    let environment: Vec<(String, String)> = variables
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    match thoughtgate::check(&flags(path), &environment) {
        Ok(policies) => Ok(kind(("fine", policies))),
        Err(error) => {
            let said = format!("{error:#}");
            if without_policy_path(&said).contains(SECRET) && !is_key(&text) {
                return Err(format!("shows a secret: {said}"));
            }
            Ok(kind(wording(&error.to_string())))
        }
    }
}

fn flags(config: PathBuf) -> Flags {
    Flags {
        config: Some(config),
        upstream: None,
        policy: None,
        listen: None,
        admin_listen: None,
        agent: None,
        audit: None,
        workers: None,
        check: true,
        online: false,
        command: None,
    }
}

/// An error without the path of the policies: it is where the mistakes in them are, so it is named.
fn without_policy_path(said: &str) -> String {
    let mut text = said.to_owned();
    for before in ["policies `", "policy file `", "policy directory `"] {
        let Some((start, rest)) = text.split_once(before) else {
            continue;
        };
        let after = rest.split_once('`').map_or("", |(_, after)| after);
        text = format!("{start}{before}{after}");
    }
    text
}

/// Whether the secret was moved to where a key is, which an error may name.
fn is_key(text: &str) -> bool {
    text.match_indices(SECRET).any(|(at, _)| {
        let line = text[..at].rsplit('\n').next().unwrap_or_default();
        let alone = line.trim().is_empty() || line.trim_end().ends_with(['{', ',', '?']);
        let after = text[at + SECRET.len()..].trim_start_matches(['"', '\'', ' ']);
        after.starts_with(':') || alone
    })
}

/// Whether a path may lead out of the folder: devices and other people's files are not for tests.
fn reaches_out(text: &str) -> bool {
    ["/dev", "/proc", "/sys", "file: /", "policy: /", ".."]
        .iter()
        .any(|path| text.contains(path))
}

//! The table of all settings, from which environment variables, their help and parts of errors are
//! derived.
//!
//! Each help text is read alone: in `--help`, after "expected:", and in parentheses. Types and defaults
//! are in `config.rs`.

use super::setting::{Form, Setting};

/// Every setting, in the order of the help.
pub const SETTINGS: &[Setting] = &[
    Setting {
        path: "listen",
        form: Form::Text,
        help: "address to listen on, IP:PORT",
    },
    Setting {
        path: "admin_listen",
        form: Form::Text,
        help: "separate address for /health, /ready and /metrics, IP:PORT",
    },
    Setting {
        path: "workers",
        form: Form::Number,
        help: "number of threads that serve requests",
    },
    Setting {
        path: "upstream.url",
        form: Form::Text,
        help: "URL of the upstream MCP server's endpoint, with its path",
    },
    Setting {
        path: "upstream.name",
        form: Form::Text,
        help: "name of the upstream in policies, Upstream::\"name\"",
    },
    Setting {
        path: "policy",
        form: Form::Text,
        help: "Cedar policy file, or directory of *.cedar files",
    },
    Setting {
        path: "policy_annotations",
        form: Form::List,
        help: "annotations that policies may use besides @id, @approve, @reason, @description, @owner, @author and @ticket",
    },
    Setting {
        path: "agent.id",
        form: Form::Text,
        help: "agent id that all requests are attributed to",
    },
    Setting {
        path: "agent.header",
        form: Form::Text,
        help: "request header that holds the agent's id",
    },
    Setting {
        path: "agent.jwt.claim",
        form: Form::Text,
        help: "claim of the bearer token that holds the agent's id (default: sub)",
    },
    Setting {
        path: "agent.jwt.key_file",
        form: Form::Text,
        help: "PEM file with the public key that verifies bearer tokens",
    },
    Setting {
        path: "agent.jwt.audience",
        form: Form::Text,
        help: "required aud of bearer tokens",
    },
    Setting {
        path: "agent.jwt.issuer",
        form: Form::Text,
        help: "required iss of bearer tokens",
    },
    Setting {
        path: "agent.jwt.leeway",
        form: Form::Text,
        help: "clock difference tolerated at a token's exp and nbf, at most 10m (default: 60s)",
    },
    Setting {
        path: "agent.groups",
        form: Form::Mapping,
        help: "groups of agents, {group: [agent, …]}",
    },
    Setting {
        path: "tool_groups",
        form: Form::Mapping,
        help: "groups of tools, {group: [tool, …]}",
    },
    Setting {
        path: "allowed_hosts",
        form: Form::List,
        help: "values of the Host header accepted besides loopback ones",
    },
    Setting {
        path: "allowed_origins",
        form: Form::List,
        help: "values of the Origin header accepted besides loopback ones",
    },
    Setting {
        path: "limits.body_bytes",
        form: Form::Number,
        help: "largest request body, in bytes",
    },
    Setting {
        path: "limits.depth",
        form: Form::Number,
        help: "deepest nesting of a request's JSON, at most 128",
    },
    Setting {
        path: "limits.list_bytes",
        form: Form::Number,
        help: "largest tool list accepted from the upstream, in bytes; a larger one is refused",
    },
    Setting {
        path: "limits.connections",
        form: Form::Number,
        help: "largest number of open client connections",
    },
    Setting {
        path: "limits.buffered_bytes",
        form: Form::Number,
        help: "largest number of bytes buffered at once, for all clients together",
    },
    Setting {
        path: "timeouts.head",
        form: Form::Text,
        help: "time limit to receive a request's head; also closes idle connections",
    },
    Setting {
        path: "timeouts.body",
        form: Form::Text,
        help: "time limit to receive a request's body",
    },
    Setting {
        path: "timeouts.connect",
        form: Form::Text,
        help: "time limit to connect to the upstream",
    },
    Setting {
        path: "timeouts.response",
        form: Form::Text,
        help: "time limit for the upstream's response headers, and again for a tool list or SSE event that is buffered for filtering",
    },
    Setting {
        path: "timeouts.probe_interval",
        form: Form::Text,
        help: "interval between probes of the upstream",
    },
    Setting {
        path: "timeouts.drain",
        form: Form::Text,
        help: "time limit for in-flight requests at shutdown",
    },
    Setting {
        path: "audit.file",
        form: Form::Text,
        help: "audit log with one JSON line per decision: a file, or stdout",
    },
    Setting {
        path: "audit.wait",
        form: Form::Text,
        help: "how long a call waits for room in the audit queue while lines cannot be written",
    },
    Setting {
        path: "audit.when_full",
        form: Form::Text,
        help: "for a call that finds no room in the audit queue: refuse (the call) or drop (its line)",
    },
    Setting {
        path: "approval.store",
        form: Form::Text,
        help: "file that approvals are stored in, or memory (lost at a restart)",
    },
    Setting {
        path: "approval.timeout",
        form: Form::Text,
        help: "time limit for an approver to decide",
    },
    Setting {
        path: "approval.approved_for",
        form: Form::Text,
        help: "how long after the approval the call can be made",
    },
    Setting {
        path: "approval.retention",
        form: Form::Text,
        help: "how long a finished approval, or the result of its task, can still be queried",
    },
    Setting {
        path: "approval.hold",
        form: Form::Text,
        help: "how long a call is held open before its client is asked to retry",
    },
    Setting {
        path: "approval.keep_alive",
        form: Form::Text,
        help: "interval between keep-alive messages on a held call",
    },
    Setting {
        path: "approval.open",
        form: Form::Number,
        help: "largest number of open approvals",
    },
    Setting {
        path: "approval.open_per_agent",
        form: Form::Number,
        help: "largest number of open approvals of one agent",
    },
    Setting {
        path: "approval.kept_bytes",
        form: Form::Number,
        help: "largest number of bytes of all stored approvals; open ones get half of it, one agent an eighth",
    },
    Setting {
        path: "approval.redact",
        form: Form::List,
        help: "arguments hidden from approvers: keys, JSON pointers, or all",
    },
    Setting {
        path: "approval.slack.token",
        form: Form::Text,
        help: "Slack bot token; enables approvals",
    },
    Setting {
        path: "approval.slack.token_file",
        form: Form::Text,
        help: "file with the Slack bot token",
    },
    Setting {
        path: "approval.slack.base_url",
        form: Form::Text,
        help: "base URL of Slack's Web API",
    },
    Setting {
        path: "approval.slack.channel",
        form: Form::Text,
        help: "Slack channel for approval requests whose policy names none",
    },
    Setting {
        path: "approval.slack.approvers",
        form: Form::List,
        help: "ids of the Slack users (U…, W…) and user groups (S…) that may approve or deny",
    },
    Setting {
        path: "approval.slack.approve_reactions",
        form: Form::List,
        help: "Slack reactions that approve",
    },
    Setting {
        path: "approval.slack.deny_reactions",
        form: Form::List,
        help: "Slack reactions that deny",
    },
    Setting {
        path: "approval.slack.poll_interval",
        form: Form::Text,
        help: "interval between reads of a channel with pending approvals",
    },
    Setting {
        path: "approval.slack.post_interval",
        form: Form::Text,
        help: "least interval between two messages in one channel",
    },
    Setting {
        path: "approval.slack.timeout",
        form: Form::Text,
        help: "time limit for each call to Slack",
    },
    Setting {
        path: "approval.slack.signing_secret",
        form: Form::Text,
        help: "Slack signing secret; enables buttons (set the app's request URL to https://HOST/approval/press)",
    },
    Setting {
        path: "approval.slack.signing_secret_file",
        form: Form::Text,
        help: "file with the Slack signing secret",
    },
];

/// The setting with this path, if there is one.
pub fn find(path: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.path == path)
}

/// The setting of a flag. Panics if `path` is not in the table.
pub fn setting(path: &str) -> &'static Setting {
    find(path).expect("every flag names a setting of the table")
}

/// The longest prefix of `path` that is the path of a setting, or of a group of settings.
pub fn known_part(path: &str) -> &str {
    let ends = path.match_indices(['.', '[']).map(|(end, _)| end);
    ends.chain([path.len()])
        .filter_map(|end| path.get(..end))
        .take_while(|part| {
            SETTINGS.iter().any(|setting| {
                let rest = setting.path.strip_prefix(part);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            })
        })
        .last()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_places_of_settings_are_known() {
        for (path, known) in [
            ("approval.slack.token", "approval.slack.token"),
            ("approval.slack.approvers[0]", "approval.slack.approvers"),
            ("approval.slack.tokn", "approval.slack"),
            ("agent.groups.xoxb-1[2]", "agent.groups"),
            ("work", ""),
            ("xoxb-1", ""),
            ("", ""),
            (".", ""),
        ] {
            assert_eq!(known_part(path), known, "{path}");
        }
    }
}

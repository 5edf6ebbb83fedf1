//! One table of every setting; environment variables and their help are derived from it.
//!
//! Names settings and the form of their text, and nothing else.

use super::{Form, Setting};

/// Every setting, in the order of the help.
pub const SETTINGS: &[Setting] = &[
    Setting {
        path: "listen",
        form: Form::Text,
        help: "address of the MCP endpoint",
    },
    Setting {
        path: "admin_listen",
        form: Form::Text,
        help: "own address of /health, /ready and /metrics",
    },
    Setting {
        path: "workers",
        form: Form::Number,
        help: "threads that serve requests",
    },
    Setting {
        path: "upstream.url",
        form: Form::Text,
        help: "URL of the MCP endpoint behind the proxy",
    },
    Setting {
        path: "upstream.name",
        form: Form::Text,
        help: "its name in policies, Upstream::\"name\"",
    },
    Setting {
        path: "policy",
        form: Form::Text,
        help: "Cedar file, or directory of *.cedar files",
    },
    Setting {
        path: "policy_annotations",
        form: Form::List,
        help: "annotations that policies may have beside @id, @approve, @reason, @description, @owner, @author and @ticket",
    },
    Setting {
        path: "agent.id",
        form: Form::Text,
        help: "id of the one agent that calls",
    },
    Setting {
        path: "agent.header",
        form: Form::Text,
        help: "header that holds the agent's id",
    },
    Setting {
        path: "agent.jwt.claim",
        form: Form::Text,
        help: "claim of the bearer token that holds the agent's id (default: sub)",
    },
    Setting {
        path: "agent.jwt.key_file",
        form: Form::Text,
        help: "PEM public key that bearer tokens are verified with",
    },
    Setting {
        path: "agent.jwt.audience",
        form: Form::Text,
        help: "audience that tokens must name in aud",
    },
    Setting {
        path: "agent.jwt.issuer",
        form: Form::Text,
        help: "issuer that tokens must have as iss",
    },
    Setting {
        path: "agent.jwt.leeway",
        form: Form::Text,
        help: "by how much clocks may differ at a token's exp and nbf (default: 60s)",
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
        help: "Host names accepted beside the loopback ones",
    },
    Setting {
        path: "allowed_origins",
        form: Form::List,
        help: "Origins accepted beside the loopback ones",
    },
    Setting {
        path: "limits.body_bytes",
        form: Form::Number,
        help: "largest request body",
    },
    Setting {
        path: "limits.depth",
        form: Form::Number,
        help: "deepest nesting of a request's JSON",
    },
    Setting {
        path: "limits.list_bytes",
        form: Form::Number,
        help: "largest tool list that is filtered",
    },
    Setting {
        path: "limits.connections",
        form: Form::Number,
        help: "client connections open at once",
    },
    Setting {
        path: "limits.buffered_bytes",
        form: Form::Number,
        help: "bytes of everything that is buffered, all clients together",
    },
    Setting {
        path: "timeouts.head",
        form: Form::Text,
        help: "for a request's head, idle connections included",
    },
    Setting {
        path: "timeouts.body",
        form: Form::Text,
        help: "for a request's body",
    },
    Setting {
        path: "timeouts.connect",
        form: Form::Text,
        help: "for connecting to the upstream",
    },
    Setting {
        path: "timeouts.response",
        form: Form::Text,
        help: "for the upstream's response head, and for a list or event that is held to be filtered",
    },
    Setting {
        path: "timeouts.probe_interval",
        form: Form::Text,
        help: "between probes of the upstream",
    },
    Setting {
        path: "timeouts.drain",
        form: Form::Text,
        help: "for requests in flight at a stop",
    },
    Setting {
        path: "audit.file",
        form: Form::Text,
        help: "file for a JSON line per decision, or stdout",
    },
    Setting {
        path: "audit.wait",
        form: Form::Text,
        help: "how long a call waits for room for its line when lines cannot be written",
    },
    Setting {
        path: "audit.when_full",
        form: Form::Text,
        help: "refuse a call that found no room for its line, or drop the line",
    },
    Setting {
        path: "approval.store",
        form: Form::Text,
        help: "file for open approvals, or memory (forgotten at a restart)",
    },
    Setting {
        path: "approval.timeout",
        form: Form::Text,
        help: "for a human to decide",
    },
    Setting {
        path: "approval.approved_for",
        form: Form::Text,
        help: "from the decision to the call",
    },
    Setting {
        path: "approval.retention",
        form: Form::Text,
        help: "how long an ended approval can be asked about",
    },
    Setting {
        path: "approval.hold",
        form: Form::Text,
        help: "how long a call is held before its client is asked to come back",
    },
    Setting {
        path: "approval.keep_alive",
        form: Form::Text,
        help: "between signs of life on a held call",
    },
    Setting {
        path: "approval.open",
        form: Form::Number,
        help: "approvals open at once",
    },
    Setting {
        path: "approval.open_per_agent",
        form: Form::Number,
        help: "approvals of one agent open at once",
    },
    Setting {
        path: "approval.kept_bytes",
        form: Form::Number,
        help: "bytes of all approvals kept: open ones half of it, one agent's an eighth",
    },
    Setting {
        path: "approval.redact",
        form: Form::List,
        help: "arguments that approvers do not see: keys, JSON pointers, or all",
    },
    Setting {
        path: "approval.slack.token",
        form: Form::Text,
        help: "bot token; configures approvals",
    },
    Setting {
        path: "approval.slack.token_file",
        form: Form::Text,
        help: "file with the bot token",
    },
    Setting {
        path: "approval.slack.base_url",
        form: Form::Text,
        help: "where the Web API is",
    },
    Setting {
        path: "approval.slack.channel",
        form: Form::Text,
        help: "channel to ask in when the policy names none",
    },
    Setting {
        path: "approval.slack.approvers",
        form: Form::List,
        help: "ids of users and user groups that may decide",
    },
    Setting {
        path: "approval.slack.approve_reactions",
        form: Form::List,
        help: "reactions that approve",
    },
    Setting {
        path: "approval.slack.deny_reactions",
        form: Form::List,
        help: "reactions that deny",
    },
    Setting {
        path: "approval.slack.poll_interval",
        form: Form::Text,
        help: "between reads of a channel with pending approvals",
    },
    Setting {
        path: "approval.slack.post_interval",
        form: Form::Text,
        help: "between two messages in one channel",
    },
    Setting {
        path: "approval.slack.timeout",
        form: Form::Text,
        help: "for each call to Slack",
    },
    Setting {
        path: "approval.slack.signing_secret",
        form: Form::Text,
        help: "adds buttons, which Slack sends to /approval/press",
    },
    Setting {
        path: "approval.slack.signing_secret_file",
        form: Form::Text,
        help: "file with the signing secret",
    },
];

//! The configuration: its shape, its defaults, and how file, environment and flags are joined.
//!
//! Says what a value looks like, not what it is used for; `settings.rs` turns it into the proxy's
//! own types and checks that they make sense together.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use serde::{Deserialize, Serialize};

use crate::flags::Flags;
use crate::overlay::{self, Setting};

mod approval;
mod audit;
mod duration;
pub mod yaml;

pub use approval::{Approval, MEMORY, Slack};
pub use audit::{Audit, STDOUT, WhenFull};

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address of the MCP endpoint.
    pub listen: SocketAddr,
    /// Own address of the admin routes.
    pub admin_listen: Option<SocketAddr>,
    /// Serving threads; from the CPU quota when absent.
    pub workers: Option<usize>,
    /// The MCP server behind the proxy.
    pub upstream: Upstream,
    /// A Cedar file, or a directory of them.
    pub policy: Option<PathBuf>,
    /// Annotations that policies may have beside the known ones.
    pub policy_annotations: Vec<String>,
    /// Who the caller is.
    pub agent: Agent,
    /// Groups that policies name instead of single tools: group to tools.
    pub tool_groups: BTreeMap<String, Vec<String>>,
    /// `Host` names accepted beside the loopback ones.
    pub allowed_hosts: Vec<String>,
    /// `Origin`s accepted beside the loopback ones.
    pub allowed_origins: Vec<String>,
    /// Ceilings.
    pub limits: Limits,
    /// Deadlines.
    pub timeouts: Timeouts,
    /// Where a line for each decision goes.
    #[serde(deserialize_with = "audit::text_or_mapping")]
    pub audit: Audit,
    /// How humans approve calls.
    pub approval: Approval,
}

/// The MCP server behind the proxy.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Upstream {
    /// Its endpoint, with the path.
    pub url: Option<String>,
    /// Its name in policies: `Upstream::"name"`.
    pub name: String,
}

/// Who the caller is; one of `id`, `header` and `jwt`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Agent {
    /// One agent, always.
    pub id: Option<String>,
    /// The header that holds the agent's id; whoever stands in front must set it.
    pub header: Option<String>,
    /// A claim of the bearer token.
    pub jwt: Jwt,
    /// Groups that policies name instead of single agents: group to agents.
    pub groups: BTreeMap<String, Vec<String>>,
}

/// How bearer tokens are verified. Nothing has a default here: a token is asked for as soon as any of
/// it is configured.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Jwt {
    /// The claim that names the agent.
    pub claim: Option<String>,
    /// PEM file with the public key.
    pub key_file: Option<PathBuf>,
    /// Demanded `aud`.
    pub audience: Option<String>,
    /// Demanded `iss`.
    pub issuer: Option<String>,
    /// By how much clocks may differ at `exp` and `nbf`.
    #[serde(with = "humantime_serde::option")]
    pub leeway: Option<Duration>,
}

/// Ceilings on what one client may ask for.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Bytes of a request body.
    pub body_bytes: usize,
    /// Nesting of a request's JSON.
    pub depth: usize,
    /// Bytes of a tool list.
    pub list_bytes: usize,
    /// Client connections open at once.
    pub connections: usize,
    /// Bytes of everything that is buffered, all clients together.
    pub buffered_bytes: usize,
}

/// Deadlines, as `10s`, `250ms`, `5m`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// For a request's head, an idle connection included.
    #[serde(with = "duration")]
    pub head: Duration,
    /// For a request's body.
    #[serde(with = "duration")]
    pub body: Duration,
    /// For connecting to the upstream.
    #[serde(with = "duration")]
    pub connect: Duration,
    /// For the upstream's response head, and for a list or event that is held to be filtered.
    #[serde(with = "duration")]
    pub response: Duration,
    /// Between probes of the upstream.
    #[serde(with = "duration")]
    pub probe_interval: Duration,
    /// For what is in flight at a stop.
    #[serde(with = "duration")]
    pub drain: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            admin_listen: None,
            workers: None,
            upstream: Upstream::default(),
            policy: None,
            policy_annotations: Vec::new(),
            agent: Agent::default(),
            tool_groups: BTreeMap::new(),
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            audit: Audit::default(),
            approval: Approval::default(),
        }
    }
}

impl Default for Upstream {
    fn default() -> Upstream {
        Upstream {
            url: None,
            name: "upstream".to_owned(),
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            body_bytes: 4 * 1024 * 1024,
            depth: 64,
            list_bytes: 8 * 1024 * 1024,
            connections: 1024,
            buffered_bytes: 32 * 1024 * 1024,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            head: Duration::from_secs(60),
            body: Duration::from_secs(30),
            connect: Duration::from_secs(5),
            response: Duration::from_secs(300),
            probe_interval: Duration::from_secs(1),
            drain: Duration::from_secs(10),
        }
    }
}

impl Config {
    /// Joins the file (if any), the environment and the flags, in this order.
    pub fn load(flags: &Flags, environment: &[(String, String)]) -> anyhow::Result<Config> {
        let mut config = match &flags.config {
            Some(path) => from_file(path)?,
            None => Config::default(),
        };
        for (setting, name, text) in overlay::from_environment(environment) {
            config = config.with(setting, text, name)?;
        }
        for (path, text, flag) in flags.settings() {
            config = config.with(overlay::setting(path), &text, flag)?;
        }
        overlay::check_filled(&config)?;
        Ok(config)
    }

    /// Sets one value and reads the whole again, so that an error names the one that caused it.
    fn with(&self, setting: &Setting, text: &str, source: &str) -> anyhow::Result<Config> {
        let Setting { path, .. } = setting;
        let value = overlay::value(setting, text)
            .with_context(|| format!("failed to read the value of `{source}` for `{path}`"))?;
        let mut tree = serde_json::to_value(self).context("failed to join the settings")?;
        if let Some(place) = tree.pointer_mut(&setting.pointer()) {
            *place = value;
        }
        // serde's error holds the value, which may be a secret.
        serde_json::from_value(tree).map_err(|_| {
            anyhow!(
                "failed to use the value of `{source}` for `{path}`; expected: {}",
                setting.expected()
            )
        })
    }
}

/// The file's settings; its own paths are taken relative to its folder.
fn from_file(path: &Path) -> anyhow::Result<Config> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("failed to read configuration `{shown}`"))?;
    if text.trim().is_empty() {
        bail!(
            "configuration `{shown}` is empty; at least `upstream: {{url: …}}` and `policy: …` belong in it"
        );
    }
    let mut config: Config =
        yaml::parse(&text).with_context(|| format!("failed to parse configuration `{shown}`"))?;
    // Before an empty path becomes the folder's.
    overlay::check_filled(&config)
        .with_context(|| format!("failed to use configuration `{shown}`"))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let slack = &mut config.approval.slack;
    let audit = config
        .audit
        .file
        .as_mut()
        .filter(|path| **path != Path::new(STDOUT));
    let store = Some(&mut config.approval.store).filter(|path| **path != Path::new(MEMORY));
    let files = [
        config.policy.as_mut(),
        audit,
        store,
        config.agent.jwt.key_file.as_mut(),
        slack.token_file.as_mut(),
        slack.signing_secret_file.as_mut(),
    ];
    for file in files.into_iter().flatten() {
        *file = folder.join(&*file);
    }
    Ok(config)
}

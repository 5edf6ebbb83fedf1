//! The command line. Each flag but `--config` and `--check` is also a setting of the configuration;
//! flags override the environment, which overrides the file.
//!
//! Does not check values: `load.rs` and `settings.rs` do, for all three sources alike.

use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, Parser};
use thoughtgate_panic::error;

use crate::overlay;

mod command;

pub use command::{Command, Explain, Format};

/// Governs what AI agents may do through MCP tools.
///
/// Sits between an agent and one MCP server: forwards the requests that Cedar policies permit, asks
/// approvers in Slack about those that need approval, and refuses the rest. Serves MCP at /mcp, and
/// /health, /ready and /metrics.
#[derive(Debug, Parser)]
#[expect(
    clippy::doc_markdown,
    reason = "these are the texts of --help, not Markdown"
)]
#[command(version)]
pub struct Flags {
    /// Configuration file (YAML)
    #[arg(long, env = "THOUGHTGATE_CONFIG", value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,

    /// URL of the upstream MCP server's endpoint, with its path [setting: upstream.url]
    #[arg(long, value_name = "URL")]
    pub upstream: Option<String>,

    /// Cedar policies: a file, or a directory of *.cedar files [setting: policy]
    #[arg(long, value_name = "FILE", global = true)]
    pub policy: Option<PathBuf>,

    /// Address to listen on, IP:PORT [setting: listen; default: 127.0.0.1:8080, in a container
    /// 0.0.0.0:8080]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,

    /// Separate address for /health, /ready and /metrics [setting: admin_listen; default: as --listen]
    #[arg(long, value_name = "ADDRESS")]
    pub admin_listen: Option<String>,

    /// Agent id that all requests are attributed to [setting: agent.id; default: agent]
    #[arg(long, value_name = "ID")]
    pub agent: Option<String>,

    /// Audit log with one JSON line per decision: a file, or stdout [setting: audit]
    #[arg(long, value_name = "FILE")]
    pub audit: Option<PathBuf>,

    /// Threads that serve requests [setting: workers; default: 1, or up to 4 by the CPU quota]
    #[arg(long, value_name = "COUNT")]
    pub workers: Option<String>,

    /// Validate configuration, schema and policies, then exit
    #[arg(long)]
    pub check: bool,

    /// With --check: also ask the upstream (one MCP request), the issuer (keys of tokens) and Slack (token,
    /// scopes, channels)
    #[arg(long, requires = "check")]
    pub online: bool,

    /// The command; without one, the proxy runs.
    #[command(subcommand)]
    pub command: Option<Command>,
}

impl Flags {
    /// Reads the command line. Ends the process after `--help` or `--version` (exit code 0) and after
    /// an invalid command line (exit code 2).
    ///
    /// The error message leaves out the text that was given, since it may be a secret.
    #[must_use]
    pub fn read() -> Flags {
        Flags::try_parse().unwrap_or_else(|error| {
            // `--help` and `--version` are errors to clap, which are printed on standard output.
            if !error.use_stderr() {
                // The list of all settings is made for those who ask for it: no start needs it.
                let described = Flags::command().after_long_help(overlay::help());
                described.try_get_matches().err().unwrap_or(error).exit();
            }
            error!("{} (see --help)", mistake(&error));
            std::process::exit(2);
        })
    }

    /// The settings that were given as flags: path in the configuration, text, name of the flag.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String, &'static str)> {
        let path = |path: &PathBuf| path.display().to_string();
        [
            ("upstream.url", self.upstream.clone(), "--upstream"),
            ("policy", self.policy.as_ref().map(path), "--policy"),
            ("listen", self.listen.clone(), "--listen"),
            ("admin_listen", self.admin_listen.clone(), "--admin-listen"),
            ("agent.id", self.agent.clone(), "--agent"),
            ("audit.file", self.audit.as_ref().map(path), "--audit"),
            ("workers", self.workers.clone(), "--workers"),
        ]
        .into_iter()
        .filter_map(|(path, value, flag)| Some((path, value?, flag)))
        .collect()
    }
}

/// The mistake, with the names of flags and of missing arguments, and without any text that was given.
fn mistake(error: &clap::Error) -> String {
    let names = |kind| match error.get(kind) {
        Some(ContextValue::String(name)) => vec![name.as_str()],
        Some(ContextValue::Strings(names)) => names.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    };
    let flags = |names: &[&str]| quoted(names.iter().copied().filter_map(flag));
    let given = names(ContextKind::InvalidArg);
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let meant = flags(&names(ContextKind::SuggestedArg));
            match (flags(&given), meant) {
                (given, _) if given.is_empty() => {
                    "unknown argument; each value follows its flag, such as `--policy FILE`"
                        .to_owned()
                }
                (given, meant) if meant.is_empty() => format!("unknown argument{given}"),
                (given, meant) => format!("unknown argument{given}; did you mean{meant}?"),
            }
        }
        ErrorKind::ArgumentConflict => {
            let prior = names(ContextKind::PriorArg);
            // clap reports a repeated flag as a conflict with itself.
            if given == prior {
                format!("duplicate argument{}", flags(&given))
            } else {
                let (given, prior) = (flags(&given), flags(&prior));
                format!("argument{given} cannot be combined with{prior}")
            }
        }
        // Required by `--online` alone, which clap does not name.
        ErrorKind::MissingRequiredArgument if given == ["--check"] => {
            "`--online` is a part of `--check`; pass both".to_owned()
        }
        // These names are from the definitions above.
        ErrorKind::MissingRequiredArgument => {
            format!("missing argument{}", quoted(given.into_iter()))
        }
        ErrorKind::InvalidSubcommand => {
            let root = Flags::command();
            let known = quoted(root.get_subcommands().map(clap::Command::get_name));
            format!("unknown command; expected one of{known}")
        }
        ErrorKind::InvalidUtf8 => "non-UTF-8 argument".to_owned(),
        _ => {
            let valid = quoted(names(ContextKind::ValidValue).into_iter());
            let expected = if valid.is_empty() {
                valid
            } else {
                format!("; expected one of{valid}")
            };
            let given = flags(&given);
            format!("missing or invalid value for argument{given}{expected}")
        }
    }
}

/// The names, each behind a space; nothing if there are none.
fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = names.map(|name| format!(" `{name}`")).collect();
    quoted.join(",")
}

/// The flag's name in `argument`, if it looks like one; anything else may be a secret.
fn flag(argument: &str) -> Option<&str> {
    let name = argument.split([' ', '=']).next()?;
    let letters = name.strip_prefix("--")?;
    // No flag is as long, while a secret may begin with two dashes.
    let short = letters.len() <= 24;
    let plain = letters
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    (short && plain).then_some(name)
}

//! The commands for authors of policies, as the command line has them.
//!
//! Does not carry them out: `authors.rs` does.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// The commands for authors of policies.
#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub enum Command {
    /// Compare decisions with expected ones
    ///
    /// Decides the cases of YAML files by the configured policies. Prints one line for each decision that
    /// differs, and a count. Exit codes: 0 all as expected; 1 a decision differs; 2 anything else.
    Test {
        /// YAML files, each with a list of cases
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Explain the decision on a call
    ///
    /// Prints the decision, the policies that make it (marked with *), and those that nearly apply, with
    /// what keeps them from it. Exit codes: 0 whatever the decision is; 2 if there is none.
    Explain(Explain),
}

/// The call to explain.
#[expect(
    clippy::doc_markdown,
    reason = "these are the texts of --help, not Markdown"
)]
#[derive(Debug, Args)]
pub struct Explain {
    /// Tool that is called; for other methods, the prompt's name or the resource's URI
    #[arg(long, value_name = "NAME")]
    pub tool: Option<String>,

    /// Arguments of the call, as JSON
    #[arg(long, value_name = "JSON")]
    pub arguments: Option<String>,

    /// Agent that calls [default: the one of the configuration]
    #[arg(long, value_name = "NAME")]
    pub agent: Option<String>,

    /// Claims of the agent's token, as a JSON object, by the names that agent.jwt.claims declares [default:
    /// a token without them]
    #[arg(long, value_name = "JSON")]
    pub claims: Option<String>,

    /// Time of the call, such as 2026-01-05T23:00:00Z [default: the present]
    #[arg(long, value_name = "RFC3339")]
    pub time: Option<String>,

    /// MCP method, or GET or DELETE for requests without a message [default: tools/call]
    #[arg(long, value_name = "METHOD")]
    pub method: Option<String>,

    /// Line of the audit log with the call: the JSON itself, - for standard input, or FILE:LINE
    #[arg(long, value_name = "LINE", conflicts_with_all = ["tool", "agent", "time", "method"])]
    pub audit: Option<String>,

    /// Form of the answer
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// The form of an explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Words, one line for each policy
    Text,
    /// One JSON object
    Json,
}

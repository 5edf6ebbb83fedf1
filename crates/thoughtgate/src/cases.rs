//! Expected decisions in a YAML table: `thoughtgate test FILE`.
//!
//! ```yaml
//! - call: deploy                   # or prompt: NAME, resource: URI, method: METHOD
//!   agent: deployer
//!   claims: {groups: [ops]}        # of the agent's token, by the names that `agent.jwt.claims` declares
//!   arguments: {env: prod}         # or a text with the JSON exactly as sent
//!   at: 2026-01-05T23:00:00Z
//!   expect: approve                # permit, refuse or approve
//!   by: [deploy]                   # the policies that determine it, no more and no fewer
//!   why: nightly deploys need a human
//! ```
//!
//! Reads no file, and decides nothing itself: the engine of the proxy does.

use crate::call::Agents;
use crate::mistakes::Mistakes;

mod case;
mod table;

pub(crate) use case::in_words;
pub use case::{Case, Expect};

/// The cases of a file that is called `name` in mistakes. Without a fixed agent, each has to name one.
pub fn parse(name: &str, text: &str, agents: &Agents<'_>) -> Result<Vec<Case>, Mistakes> {
    table::read(name, text, agents)
}

//! The input of [`Engine::load`](crate::Engine::load): policy files, and the part of the configuration
//! that they can refer to.
//!
//! Only data; `annotations.rs` and `references.rs` check it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::declared::Declared;

/// One `.cedar` file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// File name, used in messages and in the ids of policies without `@id`.
    pub name: String,
    /// Content of the file.
    pub text: String,
}

/// The part of the configuration that policies can refer to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Id of the only `Upstream` entity.
    pub upstream: String,
    /// Whether approvals are configured; if not, `@approve` is an error at load.
    pub approvals: bool,
    /// Ids of `Group` entities, with the ids of their agents.
    pub agent_groups: BTreeMap<String, Vec<String>>,
    /// Ids of `ToolGroup` entities, with the names of their tools.
    pub tool_groups: BTreeMap<String, Vec<String>>,
    /// Claims of tokens that policies can read.
    pub claims: Arc<Declared>,
    /// Annotations that policies may use besides the built-in ones.
    pub annotations: Vec<String>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            upstream: "upstream".to_owned(),
            approvals: false,
            agent_groups: BTreeMap::new(),
            tool_groups: BTreeMap::new(),
            claims: Arc::default(),
            annotations: Vec::new(),
        }
    }
}

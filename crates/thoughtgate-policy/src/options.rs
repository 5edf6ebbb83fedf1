//! The input of [`Engine::load`](crate::Engine::load): policy files, and the part of the configuration
//! that they can refer to.
//!
//! Only data; `annotations.rs` and `references.rs` check it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::declared::Declared;

/// One `.cedar` file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// File name, used in messages and in the ids of policies without `@id`.
    pub name: String,
    /// Content of the file.
    pub text: String,
}

/// The sources without the byte order marks that some editors write, which are no part of Cedar.
pub fn without_marks(sources: &[Source]) -> Cow<'_, [Source]> {
    const MARK: char = '\u{feff}';
    if !sources.iter().any(|source| source.text.starts_with(MARK)) {
        return Cow::Borrowed(sources);
    }
    let plain = sources.iter().map(|Source { name, text }| Source {
        name: name.clone(),
        text: text.strip_prefix(MARK).unwrap_or(text).to_owned(),
    });
    Cow::Owned(plain.collect())
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
    pub claims: Declared,
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
            claims: Declared::default(),
            annotations: Vec::new(),
        }
    }
}

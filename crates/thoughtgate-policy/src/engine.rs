//! A loaded set of policies that can be asked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::value::RawValue;

use crate::asked::Asked;
use crate::error::LoadError;
use crate::index::Index;
use crate::memory::{Lookup, Memory};
use crate::policy::{self, BASELINE_FILE, Known};
use crate::references;
use crate::schema::{self, Actions};
use crate::slice::Slice;

/// One `.cedar` file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name, for messages and default policy ids.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// What policies may refer to beside the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The server's name: `Upstream::"…"`.
    pub upstream: String,
    /// Whether there is a channel on which approvals can be asked.
    pub approvals: bool,
    /// Group to agents.
    pub agent_groups: BTreeMap<String, Vec<String>>,
    /// Group to tools.
    pub tool_groups: BTreeMap<String, Vec<String>>,
    /// Annotations that policies may have beside the known ones.
    pub annotations: Vec<String>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            upstream: "upstream".to_owned(),
            approvals: false,
            agent_groups: BTreeMap::new(),
            tool_groups: BTreeMap::new(),
            annotations: Vec::new(),
        }
    }
}

/// A request to decide.
#[derive(Debug, Clone)]
pub struct Query<'a> {
    /// The agent's id.
    pub principal: &'a str,
    /// What it asks for.
    pub target: Target<'a>,
    /// The call's arguments as they came.
    pub arguments: Option<&'a RawValue>,
    /// The time that policies see.
    pub now: SystemTime,
}

/// What an agent asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// `tools/call` of this tool.
    Tool(&'a str),
    /// `resources/read`, `resources/subscribe` or `resources/unsubscribe`.
    Resource {
        /// The method.
        method: &'a str,
        /// The resource's URI.
        uri: &'a str,
    },
    /// `prompts/get` of this prompt.
    Prompt(&'a str),
    /// Any other method of a request, or of a notification that is not called one.
    Method(&'a str),
    /// What is not a request for anything.
    Plain(Plain),
}

/// What has an action of its own without a method of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plain {
    /// A message `notifications/…` without an id.
    Notification,
    /// A message with a result or an error.
    Response,
    /// GET of the endpoint.
    Stream,
    /// DELETE of the endpoint.
    SessionDelete,
}

impl Plain {
    /// All of them.
    pub const ALL: [Plain; 4] = [
        Plain::Notification,
        Plain::Response,
        Plain::Stream,
        Plain::SessionDelete,
    ];

    /// The action, which no method stands for.
    #[must_use]
    pub fn action(self) -> &'static str {
        match self {
            Plain::Notification => "notifications",
            Plain::Response => "response",
            Plain::Stream => "stream",
            Plain::SessionDelete => "session/delete",
        }
    }
}

/// A decision and its reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What is to be done.
    pub outcome: Outcome,
    /// Ids of the policies that decided, sorted; empty where nothing permits.
    pub policies: Arc<[Arc<str>]>,
    /// Why deciding failed; the outcome is then [`Outcome::Reject`].
    pub error: Option<Arc<str>>,
}

/// What is to be done with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Send it on.
    Forward,
    /// Refuse it.
    Reject,
    /// Ask a human first, on this channel if a policy named one.
    Approve {
        /// The channel of `@approve("…")`.
        channel: Option<Arc<str>>,
    },
}

impl Decision {
    /// The refusal of a request that could not be decided.
    #[must_use]
    pub fn error(reason: &str) -> Decision {
        Decision {
            outcome: Outcome::Reject,
            policies: Arc::new([]),
            error: Some(Arc::from(reason)),
        }
    }
}

/// One generation of policies. Immutable, but for the memory of what was asked before.
pub struct Engine {
    policies: Vec<Arc<Known>>,
    index: Index,
    actions: Actions,
    options: Options,
    memory: Memory,
}

impl Engine {
    /// Parses and validates `sources`; nothing is accepted in part. Recurses: call it on a stack of
    /// [`crate::LOAD_STACK_BYTES`].
    pub fn load(sources: &[Source], options: &Options) -> Result<Engine, LoadError> {
        references::check_groups(options)?;
        let policies = policy::parse_all(sources, options)?;
        let reads = policy::joined_reads(&policies)?;
        let schema = schema::with_arguments(&reads.arguments)?;
        let actions = Actions::of(&schema)?;
        policy::validate(&policies, sources, schema)?;
        let index = Index::new(policies.iter().map(|known| &**known));
        let options = options.clone();
        Ok(Engine {
            policies,
            index,
            actions,
            options,
            memory: Memory::default(),
        })
    }

    /// Decides one request. Never fails: what cannot be decided is rejected, with the reason.
    #[must_use]
    pub fn decide(&self, query: &Query<'_>) -> Decision {
        match self.slice(query.principal, &query.target) {
            Ok(slice) => slice.decide(query.arguments, query.now),
            Err(error) => Decision::error(&error),
        }
    }

    /// Whether some arguments of a call to `tool` could be forwarded or approved.
    #[must_use]
    pub fn lists(&self, principal: &str, tool: &str) -> bool {
        self.slice(principal, &Target::Tool(tool))
            .is_ok_and(|slice| slice.may_pass())
    }

    /// Policies in force, the baseline's left out.
    #[must_use]
    pub fn policy_count(&self) -> usize {
        self.policies
            .iter()
            .filter(|known| &*known.file != BASELINE_FILE)
            .count()
    }

    /// The schema's text, in which `ARGUMENTS` stands for what policies read of a call.
    #[must_use]
    pub fn schema() -> &'static str {
        schema::TEXT
    }

    fn slice(&self, principal: &str, target: &Target<'_>) -> Result<Arc<Slice>, String> {
        let named = |method| {
            self.actions.name(method).ok_or_else(|| {
                "the method differs only in case or white space from one that is known".to_owned()
            })
        };
        let (action, resource) = match *target {
            Target::Tool(name) => ("tools/call", name),
            Target::Resource { method, uri } => (named(method)?, uri),
            Target::Prompt(name) => ("prompts/get", name),
            Target::Method(method) => (named(method)?, ""),
            Target::Plain(plain) => (plain.action(), ""),
        };
        let lookup = Lookup {
            principal,
            action,
            resource,
        };
        if let Some(slice) = self.memory.get(&lookup) {
            return Ok(slice);
        }
        let asked = Asked::new(&self.options, &self.actions, principal, action, target)?;
        let candidates = self.index.candidates(&asked.principal, &asked.resource);
        let known = candidates.filter_map(|position| self.policies.get(position));
        let slice = Arc::new(Slice::new(asked, known, &self.memory)?);
        self.memory.put(&lookup, &slice);
        Ok(slice)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::memory::BYTES_MAX;

    /// Twenty policies that read the call apply to every tool, and of five hundred others one to each.
    fn engine() -> Engine {
        let mut text = String::new();
        for number in 0..520 {
            let resource = match number {
                0..20 => "resource".to_owned(),
                _ => format!("resource == Tool::\"tool-{number}\""),
            };
            writeln!(
                text,
                "permit (principal, action == Action::\"tools/call\", {resource}) when {{ \
                 context.arguments has argument_{number} && context.arguments.argument_{number} > 5 }};"
            )
            .unwrap();
        }
        let name = "many.cedar".to_owned();
        Engine::load(&[Source { name, text }], &Options::default()).unwrap()
    }

    fn lookup(principal: &str) -> Lookup<'_> {
        Lookup {
            principal,
            action: "tools/call",
            resource: "tool-0",
        }
    }

    #[test]
    fn memory_is_bounded_and_keeps_what_is_used() {
        let engine = engine();
        for number in 0..3000 {
            let name = format!("{number:0>800}");
            assert!(engine.lists(&name, "tool-0"));
            assert!(engine.lists("alice", &format!("tool-{}", number % 600)));
            assert!(engine.lists("bob", "tool-0"));
            assert!(engine.memory.bytes() <= BYTES_MAX);
        }
        assert!(engine.memory.bytes() > BYTES_MAX / 2);
        let first = format!("{:0>800}", 0);
        assert!(
            engine.memory.get(&lookup(&first)).is_none(),
            "asked for once"
        );
        assert!(
            engine.memory.get(&lookup("bob")).is_some(),
            "asked for all the time"
        );
        let long = "x".repeat(1 << 20);
        assert!(engine.lists(&long, "tool-0"));
        assert!(engine.memory.get(&lookup(&long)).is_none());
    }

    #[test]
    fn what_the_same_policies_leave_is_shared() {
        let engine = engine();
        let slice = |principal, tool| engine.slice(principal, &Target::Tool(tool)).unwrap();
        let (alice, bob) = (slice("alice", "a"), slice("bob", "b"));
        assert!(Arc::ptr_eq(&alice.rest, &bob.rest));
        assert!(!Arc::ptr_eq(&alice.rest, &slice("bob", "tool-100").rest));
    }
}

//! A loaded set of policies that can be asked.

use std::collections::{BTreeMap, HashSet};
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use cedar_policy::{Entity, EntityUid};
use hashbrown::{Equivalent, HashMap};
use serde_json::value::RawValue;

use crate::error::LoadError;
use crate::index::Index;
use crate::policy::{self, BASELINE_FILE, Known};
use crate::schema::{self, Actions};
use crate::slice::{Asked, Slice};

/// Slices remembered; names come from agents, so there must be an end to them.
const SLICES_MAX: usize = 8192;
/// Ids longer than this are decided but not remembered.
const REMEMBERED_ID_BYTES_MAX: usize = 1024;

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
}

impl Default for Options {
    fn default() -> Options {
        Options {
            upstream: "upstream".to_owned(),
            approvals: false,
            agent_groups: BTreeMap::new(),
            tool_groups: BTreeMap::new(),
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
    /// The call's arguments as they came; keys must be unique where policies read them.
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
    /// Any other method, or `stream`, `session/delete`, `response`.
    Method(&'a str),
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
    slices: RwLock<HashMap<Key, Arc<Slice>>>,
}

impl Engine {
    /// Parses and validates `sources`; nothing is accepted in part.
    pub fn load(sources: &[Source], options: &Options) -> Result<Engine, LoadError> {
        let policies = policy::parse_all(sources, options.approvals)?;
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
            slices: RwLock::new(HashMap::new()),
        })
    }

    /// Decides one request. Never fails: what cannot be decided is rejected, with the reason.
    #[must_use]
    pub fn decide(&self, query: &Query<'_>) -> Decision {
        match self.slice(query.principal, &query.target) {
            Ok(slice) => match slice.as_ref() {
                Slice::Final(decision) => decision.clone(),
                Slice::Open(open) => open.decide(query.arguments, query.now),
            },
            Err(error) => Decision::error(&error.to_string()),
        }
    }

    /// Whether some arguments of a call to `tool` could be forwarded or approved.
    #[must_use]
    pub fn lists(&self, principal: &str, tool: &str) -> bool {
        self.slice(principal, &Target::Tool(tool))
            .is_ok_and(|slice| slice.may_pass())
    }

    /// Whether a policy that may apply to `target` reads the arguments.
    #[must_use]
    pub fn reads_arguments(&self, principal: &str, target: &Target<'_>) -> bool {
        // What cannot be told is treated as read, which asks more of the request.
        self.slice(principal, target)
            .map_or(true, |slice| match slice.as_ref() {
                Slice::Final(_) => false,
                Slice::Open(open) => open.reads_arguments(),
            })
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

    fn slice(&self, principal: &str, target: &Target<'_>) -> Result<Arc<Slice>, LoadError> {
        let (action, resource) = match *target {
            Target::Tool(name) => ("tools/call", name),
            Target::Resource { method, uri } => (self.actions.name(method), uri),
            Target::Prompt(name) => ("prompts/get", name),
            Target::Method(method) => (self.actions.name(method), ""),
        };
        let lookup = Lookup {
            principal,
            action,
            resource,
        };
        {
            let slices = self.slices.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(slice) = slices.get(&lookup) {
                return Ok(Arc::clone(slice));
            }
        }
        let slice = Arc::new(self.make_slice(principal, target, action)?);
        if principal.len() + resource.len() <= REMEMBERED_ID_BYTES_MAX {
            let mut slices = self.slices.write().unwrap_or_else(PoisonError::into_inner);
            if slices.len() >= SLICES_MAX {
                slices.clear();
            }
            slices.insert(lookup.to_key(), Arc::clone(&slice));
        }
        Ok(slice)
    }

    fn make_slice(
        &self,
        principal: &str,
        target: &Target<'_>,
        action: &str,
    ) -> Result<Slice, LoadError> {
        let upstream = schema::upstream(&self.options.upstream);
        let (resource, groups) = match *target {
            Target::Tool(name) => (
                schema::tool(name),
                groups_of(&self.options.tool_groups, name, schema::tool_group),
            ),
            Target::Resource { uri, .. } => (schema::resource(uri), HashSet::new()),
            Target::Prompt(name) => (schema::prompt(name), HashSet::new()),
            Target::Method(_) => (upstream.clone(), HashSet::new()),
        };
        let mut parents = groups;
        if resource != upstream {
            parents.insert(upstream);
        }
        let agent = schema::agent(principal);
        let agent_groups = groups_of(&self.options.agent_groups, principal, schema::group);
        let own = [
            Entity::new_no_attrs(agent.clone(), agent_groups),
            Entity::new_no_attrs(resource.clone(), parents),
        ];
        // The hierarchy of actions is part of the schema, and its own closure already.
        let entities = self
            .actions
            .entities()
            .clone()
            .add_entities(own, None)
            .map_err(|error| LoadError::Internal(error.to_string()))?;
        let candidates = self.index.candidates(&agent, &resource);
        let known = candidates.filter_map(|position| self.policies.get(position));
        let asked = Asked {
            principal: agent,
            action: schema::action(action),
            resource,
            entities,
        };
        Slice::new(asked, known)
    }
}

fn groups_of(
    groups: &BTreeMap<String, Vec<String>>,
    member: &str,
    entity: fn(&str) -> EntityUid,
) -> HashSet<EntityUid> {
    groups
        .iter()
        .filter(|(_, members)| members.iter().any(|found| found == member))
        .map(|(name, _)| entity(name))
        .collect()
}

#[derive(PartialEq, Eq)]
struct Key {
    principal: Box<str>,
    action: Box<str>,
    resource: Box<str>,
}

/// A [`Key`] that borrows, so that looking up allocates nothing.
#[derive(Hash)]
struct Lookup<'a> {
    principal: &'a str,
    action: &'a str,
    resource: &'a str,
}

impl Lookup<'_> {
    fn to_key(&self) -> Key {
        Key {
            principal: self.principal.into(),
            action: self.action.into(),
            resource: self.resource.into(),
        }
    }
}

impl Hash for Key {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        Lookup {
            principal: &self.principal,
            action: &self.action,
            resource: &self.resource,
        }
        .hash(state);
    }
}

impl Equivalent<Key> for Lookup<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self.principal == *key.principal
            && *self.action == *key.action
            && *self.resource == *key.resource
    }
}

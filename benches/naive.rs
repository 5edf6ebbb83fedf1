//! Cedar's own authorizer over all policies, as a program would use it without ThoughtGate's engine:
//! the reference that the engine is compared with.
//!
//! `cached` uses entities that were built beforehand and builds only the request; `cold` also builds
//! the entities of each request. Neither caches decisions.

use std::collections::HashSet;

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityUid, PolicySet, Request,
    RestrictedExpression,
};
use serde_json::Value;

use crate::corpus::{self, Call, Kind};

/// Policies, with the entities and groups that they refer to.
pub struct Naive {
    policies: PolicySet,
    entities: Entities,
    groups: Vec<(&'static str, String, Vec<String>)>,
    reading: bool,
}

impl Naive {
    /// Loads the same policies and groups as [`corpus::engine`].
    pub fn new(count: usize, kind: Kind) -> Naive {
        let policies = corpus::policies(count, kind)
            .parse()
            .expect("the generated policies are valid");
        let options = corpus::options(count);
        let agents = options
            .agent_groups
            .into_iter()
            .map(|group| ("Agent", group));
        let tools = options.tool_groups.into_iter().map(|group| ("Tool", group));
        let groups = agents
            .chain(tools)
            .map(|(of, (name, members))| (of, name, members))
            .collect();
        let mut naive = Naive {
            policies,
            entities: Entities::empty(),
            groups,
            reading: kind == Kind::ContextReading,
        };
        let agents = corpus::AGENTS.iter().map(|agent| naive.agent(agent));
        let names = corpus::tools(count);
        let tools = names.iter().map(|tool| naive.tool(tool));
        naive.entities = entities(agents.chain(tools).collect());
        naive
    }

    /// Whether the call is allowed, using the prepared entities.
    pub fn cached(&self, call: &Call) -> bool {
        self.evaluate(call, &self.entities)
    }

    /// Whether the call is allowed, using entities built for this call.
    pub fn cold(&self, call: &Call) -> bool {
        let own = entities(vec![self.agent(&call.agent), self.tool(&call.tool)]);
        self.evaluate(call, &own)
    }

    fn evaluate(&self, call: &Call, entities: &Entities) -> bool {
        // The reference does not pay for reading arguments that no policy asks for.
        let context = if self.reading {
            context(call)
        } else {
            Context::empty()
        };
        let request = Request::new(
            uid("Agent", &call.agent),
            uid("Action", "tools/call"),
            uid("Tool", &call.tool),
            context,
            None,
        )
        .expect("only a check against a schema can fail");
        let response = Authorizer::new().is_authorized(&request, &self.policies, entities);
        response.decision() == Decision::Allow
    }

    fn agent(&self, id: &str) -> Entity {
        Entity::new_no_attrs(uid("Agent", id), self.parents("Agent", "Group", id))
    }

    fn tool(&self, id: &str) -> Entity {
        let mut parents = self.parents("Tool", "ToolGroup", id);
        parents.insert(uid("Upstream", corpus::UPSTREAM));
        Entity::new_no_attrs(uid("Tool", id), parents)
    }

    fn parents(&self, of: &str, group_type: &str, id: &str) -> HashSet<EntityUid> {
        self.groups
            .iter()
            .filter(|(kind, _, members)| *kind == of && members.iter().any(|member| member == id))
            .map(|(_, name, _)| uid(group_type, name))
            .collect()
    }
}

fn entities(all: Vec<Entity>) -> Entities {
    Entities::from_entities(all, None).expect("no two entities have one id")
}

fn uid(of: &str, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(of.parse().expect("a type name"), id.parse().expect("an id"))
}

/// The arguments that the policies read, parsed.
fn context(call: &Call) -> Context {
    let value: Value = serde_json::from_str(call.arguments.get()).expect("the arguments are JSON");
    let text = |name: &str| {
        let text = value[name].as_str().unwrap_or_default().to_owned();
        RestrictedExpression::new_string(text)
    };
    let number = RestrictedExpression::new_long(value["limit"].as_i64().unwrap_or_default());
    let fields = [
        ("path".to_owned(), text("path")),
        ("limit".to_owned(), number),
    ];
    let arguments = RestrictedExpression::new_record(fields).expect("no duplicate keys");
    Context::from_pairs([("arguments".to_owned(), arguments)]).expect("no duplicate keys")
}

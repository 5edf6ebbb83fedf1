//! Principal, action and resource of a request as Cedar entities, with the groups they are in.
//!
//! Contains nothing of the call's arguments, so that one value serves all calls of the same kind. Does
//! not decide which policies apply: Cedar matches their scopes against this one.

use std::collections::{BTreeMap, HashSet};

use cedar_policy::entities_errors::EntitiesError;
use cedar_policy::{Context, Entities, Entity, EntityUid, Request};

use crate::options::Options;
use crate::query::Target;
use crate::schema::{self, Actions};

/// Estimated memory of an entity in Cedar's store: the entity, its sets, and its place in the map.
const ENTITY_BYTES: usize = 640;
/// Estimated memory of a parent of an entity, without its name.
const PARENT_BYTES: usize = 160;

/// One principal, action and resource, and the entities that policies can ask about.
#[derive(Debug)]
pub struct Scope {
    pub principal: EntityUid,
    pub action: EntityUid,
    pub resource: EntityUid,
    pub entities: Entities,
    /// Estimated memory of this value.
    pub bytes: usize,
}

impl Scope {
    /// Looks up the groups of `principal` and `target`; `action` is the name of the target's action.
    pub fn new(
        options: &Options,
        actions: &Actions,
        principal: &str,
        action: &str,
        target: &Target<'_>,
    ) -> Result<Scope, Box<EntitiesError>> {
        let upstream = schema::upstream(&options.upstream);
        let (resource, groups) = match *target {
            Target::Tool(name) => (
                schema::tool(name),
                groups_of(&options.tool_groups, name, schema::tool_group),
            ),
            Target::Resource { uri, .. } => (schema::resource(uri), HashSet::new()),
            Target::Prompt(name) => (schema::prompt(name), HashSet::new()),
            Target::Method(_) | Target::Plain(_) => (upstream.clone(), HashSet::new()),
        };
        let mut parents = groups;
        if resource != upstream {
            parents.insert(upstream);
        }
        let agent = schema::agent(principal);
        let agent_groups = groups_of(&options.agent_groups, principal, schema::group);
        let action = schema::action(action);
        let names = parents.iter().chain(&agent_groups);
        let bytes = size_of::<Scope>()
            + 3 * ENTITY_BYTES
            + names
                .map(|name| PARENT_BYTES + name.id().unescaped().len())
                .sum::<usize>()
            + 2 * (principal.len() + resource.id().unescaped().len());
        // For an action in no group, Cedar compares names only and needs no entity.
        let groups = actions.entities().ancestors(&action);
        let own = groups
            .is_some_and(|mut groups| groups.next().is_some())
            .then(|| actions.entities().get(&action).cloned());
        let all = own.flatten().into_iter().chain([
            Entity::new_no_attrs(agent.clone(), agent_groups),
            Entity::new_no_attrs(resource.clone(), parents),
        ]);
        let entities = Entities::from_entities(all, None)?;
        Ok(Scope {
            principal: agent,
            action,
            resource,
            entities,
            bytes,
        })
    }

    /// The Cedar request of one call.
    pub fn request(&self, context: Context) -> Request {
        let (principal, action, resource) = (
            self.principal.clone(),
            self.action.clone(),
            self.resource.clone(),
        );
        // Without a schema nothing is checked and nothing can fail. Policies were validated at load.
        Request::new(principal, action, resource, context, None)
            .expect("only a check against a schema can fail")
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

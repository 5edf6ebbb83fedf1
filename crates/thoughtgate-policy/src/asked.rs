//! Who asks for what, in Cedar's form: the request, and the entities that policies may ask about.

use std::collections::{BTreeMap, HashSet};

use cedar_policy::{Context, Entities, Entity, EntityUid, Request};

use crate::engine::{Options, Target};
use crate::schema::{self, Actions};

/// An entity in a store: itself, its sets, and its place in the map.
const ENTITY_BYTES: usize = 640;
/// A parent of an entity, beside its name.
const PARENT_BYTES: usize = 160;

/// One principal, action and resource.
#[derive(Debug)]
pub struct Asked {
    pub principal: EntityUid,
    pub action: EntityUid,
    pub resource: EntityUid,
    pub entities: Entities,
    /// An estimate of its size.
    pub bytes: usize,
}

impl Asked {
    /// `principal` asks for `target`, which is `action`.
    pub fn new(
        options: &Options,
        actions: &Actions,
        principal: &str,
        action: &str,
        target: &Target<'_>,
    ) -> Result<Asked, String> {
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
        let bytes = size_of::<Asked>()
            + 3 * ENTITY_BYTES
            + names
                .map(|name| PARENT_BYTES + name.id().unescaped().len())
                .sum::<usize>()
            + 2 * (principal.len() + resource.id().unescaped().len());
        // An action in no group is asked about by its name alone, which takes no entity.
        let groups = actions.entities().ancestors(&action);
        let own = groups
            .is_some_and(|mut groups| groups.next().is_some())
            .then(|| actions.entities().get(&action).cloned());
        let all = own.flatten().into_iter().chain([
            Entity::new_no_attrs(agent.clone(), agent_groups),
            Entity::new_no_attrs(resource.clone(), parents),
        ]);
        let entities = Entities::from_entities(all, None).map_err(|error| error.to_string())?;
        Ok(Asked {
            principal: agent,
            action,
            resource,
            entities,
            bytes,
        })
    }

    /// The request with what is read of one call.
    pub fn request(&self, context: Context) -> Request {
        let (principal, action, resource) = (
            self.principal.clone(),
            self.action.clone(),
            self.resource.clone(),
        );
        // Without a schema nothing is checked here, and nothing can fail: policies were validated at load.
        Request::new(principal, action, resource, context, None)
            .expect("only a schema's check can fail")
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

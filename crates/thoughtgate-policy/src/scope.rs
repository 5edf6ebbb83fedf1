//! Principal, action and resource of a request as Cedar entities, with the groups they are in.
//!
//! Contains nothing of the call's arguments, so that one value serves all calls of the same kind. Does
//! not decide which policies apply: Cedar matches their scopes against this one.

use std::collections::{BTreeMap, HashMap, HashSet};

use cedar_policy::{Context, Entities, Entity, EntityUid, Request, RestrictedExpression};

use crate::fault::ResidualError;
use crate::options::Options;
use crate::query::{Principal, Target};
use crate::schema::{self, Actions};

/// Estimated memory of an entity in Cedar's store: the entity, its sets, and its place in the map.
const ENTITY_BYTES: usize = 640;
/// Estimated memory of a parent of an entity, without its name.
const PARENT_BYTES: usize = 160;
/// Estimated memory of an attribute, without its value.
const ATTRIBUTE_BYTES: usize = 240;

/// One principal, action and resource, and the entities that policies can ask about.
#[derive(Debug)]
pub struct Scope {
    pub principal: EntityUid,
    pub action: EntityUid,
    pub resource: EntityUid,
    pub entities: Entities,
    /// The resource's attribute; `None` for the upstream, which has none.
    pub attribute: Option<Attribute>,
    /// Estimated memory of this value.
    pub bytes: usize,
}

impl Scope {
    /// Looks up the groups of `principal`, whose claims are its attributes, and of `target`; `action` is the name of the target's action. The
    /// resource has its attribute only if `named`: most policies read none.
    pub fn new(
        options: &Options,
        actions: &Actions,
        principal: Principal<'_>,
        action: &str,
        target: &Target<'_>,
        named: bool,
    ) -> Result<Scope, ResidualError> {
        let upstream = schema::upstream(&options.upstream);
        let (resource, mut parents) = match *target {
            Target::Tool(name) => (
                schema::tool(name),
                groups_of(&options.tool_groups, name, schema::tool_group),
            ),
            Target::Resource { uri, .. } => (schema::resource(uri), HashSet::new()),
            Target::Prompt(name) => (schema::prompt(name), HashSet::new()),
            Target::Method(_) | Target::Plain(_) => (upstream.clone(), HashSet::new()),
        };
        let attribute = Attribute::of(target);
        // What has a name is in the upstream; for other requests the upstream itself is the resource.
        if attribute.is_some() {
            parents.insert(upstream);
        }
        let agent = schema::agent(principal.id);
        let agent_groups = groups_of(&options.agent_groups, principal.id, schema::group);
        let action = schema::action(action);
        let containing = parents.iter().chain(&agent_groups);
        let mut bytes = size_of::<Scope>()
            + 3 * ENTITY_BYTES
            + containing
                .map(|name| PARENT_BYTES + name.id().unescaped().len())
                .sum::<usize>()
            + 2 * (principal.id.len() + resource.id().unescaped().len());
        // For an action in no group, Cedar compares names only and needs no entity.
        let groups = actions.entities().ancestors(&action);
        let own = groups
            .is_some_and(|mut groups| groups.next().is_some())
            .then(|| actions.entities().get(&action).cloned());
        let agent_entity = match principal.claims {
            Some(claims) => {
                bytes += ATTRIBUTE_BYTES * claims.count() + claims.key().len();
                Entity::new(agent.clone(), claims.attributes(), agent_groups)
                    .map_err(|error| ResidualError::Entities(error.into()))?
            }
            None => Entity::new_no_attrs(agent.clone(), agent_groups),
        };
        let resource_entity = match attribute {
            Some(attribute) if named => {
                bytes += ATTRIBUTE_BYTES + resource.id().unescaped().len();
                attribute.entity(&resource, parents)?
            }
            _ => Entity::new_no_attrs(resource.clone(), parents),
        };
        let all = own.flatten().into_iter();
        let all = all.chain([agent_entity, resource_entity]);
        let entities = Entities::from_entities(all, None)
            .map_err(|error| ResidualError::Entities(error.into()))?;
        Ok(Scope {
            principal: agent,
            action,
            resource,
            entities,
            attribute,
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

/// The attribute of a tool, prompt or resource: its id, as a string that policies can compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribute {
    ToolName,
    PromptName,
    Uri,
}

impl Attribute {
    fn of(target: &Target<'_>) -> Option<Attribute> {
        match target {
            Target::Tool(_) => Some(Attribute::ToolName),
            Target::Prompt(_) => Some(Attribute::PromptName),
            Target::Resource { .. } => Some(Attribute::Uri),
            Target::Method(_) | Target::Plain(_) => None,
        }
    }

    /// The attribute in messages.
    pub fn shown(self) -> &'static str {
        match self {
            Attribute::ToolName => "the tool's name",
            Attribute::PromptName => "the prompt's name",
            Attribute::Uri => "the resource's URI",
        }
    }

    /// The entity with this attribute.
    fn entity(
        self,
        entity: &EntityUid,
        parents: HashSet<EntityUid>,
    ) -> Result<Entity, ResidualError> {
        let key = match self {
            Attribute::ToolName | Attribute::PromptName => "name",
            Attribute::Uri => "uri",
        };
        let value = RestrictedExpression::new_string(entity.id().unescaped().to_owned());
        let attributes = HashMap::from([(key.to_owned(), value)]);
        Entity::new(entity.clone(), attributes, parents)
            .map_err(|error| ResidualError::Entities(error.into()))
    }
}

fn groups_of(
    groups: &BTreeMap<String, Vec<String>>,
    member: &str,
    entity: fn(&str) -> EntityUid,
) -> HashSet<EntityUid> {
    // A search through all members is affordable: its result is cached.
    groups
        .iter()
        .filter(|(_, members)| members.iter().any(|found| found == member))
        .map(|(name, _)| entity(name))
        .collect()
}

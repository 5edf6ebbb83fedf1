//! The schema that policies are validated against, and constructors for its entities.

use std::sync::LazyLock;

use cedar_policy::{Entities, EntityId, EntityTypeName, EntityUid, Schema};
use thoughtgate_mcp::folds_to_one_of;

use crate::declared::{self, Declared};
use crate::error::LoadError;
use crate::query::Plain;
use crate::types::{Fields, record_type};

/// The schema, with the placeholders `CLAIMS` for the attributes of agents and `ARGUMENTS` for the type of
/// the arguments that policies read.
pub const TEXT: &str = include_str!("schema.cedarschema");

/// The built-in policies, which are always in force.
pub const BASELINE: &str = include_str!("baseline.cedar");

/// The group of actions that the baseline permits.
pub const PROTOCOL: &str = "protocol";

/// The action of all methods that have no action of their own.
const OTHER: &str = "other";

/// The schema with the types of `claims` and `arguments` filled in.
pub fn complete(claims: &Declared, arguments: &Fields) -> Result<Schema, LoadError> {
    // Claims last: their names, unlike those of arguments, may contain a placeholder.
    let (before, after) = TEXT.split_once("CLAIMS").unwrap_or((TEXT, ""));
    let text = format!(
        "{before}{}{}",
        declared::schema_text(claims),
        after.replace("ARGUMENTS", &record_type(arguments))
    );
    let (schema, _) =
        Schema::from_cedarschema_str(&text).map_err(|error| LoadError::Internal(error.into()))?;
    Ok(schema)
}

/// The actions of the schema.
pub struct Actions {
    /// Names of the actions that are JSON-RPC methods.
    names: Vec<String>,
    entities: Entities,
}

impl Actions {
    /// Reads the actions from the schema, so that there is only one list of them.
    pub fn of(schema: &Schema) -> Result<Actions, LoadError> {
        let entities = schema
            .action_entities()
            .map_err(|error| LoadError::Internal(error.into()))?;
        let plain = Plain::ALL.map(Plain::action);
        // A method with the name of a group, or of an action without a method, must not get that action:
        // the baseline may permit it.
        let names = entities
            .iter()
            .map(|entity| entity.uid().id().unescaped().to_owned())
            .filter(|name| name != PROTOCOL && name != OTHER && !plain.contains(&name.as_str()))
            .collect();
        Ok(Actions { names, entities })
    }

    /// The actions and their groups.
    pub fn entities(&self) -> &Entities {
        &self.entities
    }

    /// The action of `method`: its own, or `other`. `None` if a server that ignores case or white space
    /// would take it for a different method.
    pub fn name<'a>(&'a self, method: &str) -> Option<&'a str> {
        let names = || self.names.iter().map(String::as_str);
        match names().find(|name| *name == method) {
            Some(name) => Some(name),
            None if folds_to_one_of(method, names()).is_some() => None,
            None => Some(OTHER),
        }
    }
}

/// Whether `entity` is a group of tools.
pub fn is_tool_group(entity: &EntityUid) -> bool {
    entity.type_name().basename() == "ToolGroup"
}

macro_rules! entity {
    ($function:ident, $name:literal) => {
        /// The entity of this type with this id, whatever characters the id has.
        pub fn $function(id: &str) -> EntityUid {
            static TYPE: LazyLock<EntityTypeName> =
                LazyLock::new(|| $name.parse().expect("a plain identifier"));
            EntityUid::from_type_name_and_id(TYPE.clone(), EntityId::new(id))
        }
    };
}

entity!(action, "Action");
entity!(agent, "Agent");
entity!(group, "Group");
entity!(tool, "Tool");
entity!(tool_group, "ToolGroup");
entity!(resource, "Resource");
entity!(prompt, "Prompt");
entity!(upstream, "Upstream");

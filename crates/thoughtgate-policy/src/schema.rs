//! The schema that policies are validated against, and the names of its entities and actions.

use std::sync::LazyLock;

use cedar_policy::{EntityId, EntityTypeName, EntityUid, Schema};

use crate::error::LoadError;
use crate::reads::{Fields, record_type};

/// The schema's text; `ARGUMENTS` stands for what the policies read of a call.
pub const TEXT: &str = include_str!("schema.cedarschema");

/// The policies that are always there.
pub const BASELINE: &str = include_str!("baseline.cedar");

/// The group of actions that the baseline permits.
pub const PROTOCOL: &str = "protocol";

/// The schema with the given arguments.
pub fn with_arguments(arguments: &Fields) -> Result<Schema, LoadError> {
    let text = TEXT.replace("ARGUMENTS", &record_type(arguments));
    let (schema, _) = Schema::from_cedarschema_str(&text)
        .map_err(|error| LoadError::Internal(error.to_string()))?;
    Ok(schema)
}

/// The actions of the schema, and which of them are in the [`PROTOCOL`] group.
pub struct Actions {
    names: Vec<(String, bool)>,
}

impl Actions {
    /// Reads them from the schema, so that there is one list only.
    pub fn of(schema: &Schema) -> Result<Actions, LoadError> {
        let entities = schema
            .action_entities()
            .map_err(|error| LoadError::Internal(error.to_string()))?;
        let protocol = action(PROTOCOL);
        let names = entities
            .iter()
            .filter(|entity| entity.uid() != protocol)
            .map(|entity| {
                let uid = entity.uid();
                (
                    uid.id().unescaped().to_owned(),
                    entities.is_ancestor_of(&protocol, &uid),
                )
            })
            .collect();
        Ok(Actions { names })
    }

    /// The action that stands for `method`: its own, or `other`.
    pub fn name<'a>(&'a self, method: &str) -> &'a str {
        // Every notification is one action: they ask for nothing.
        let method = if method.starts_with("notifications/") {
            "notifications"
        } else {
            method
        };
        self.names
            .iter()
            .map(|(name, _)| name.as_str())
            .find(|name| *name == method)
            .unwrap_or("other")
    }

    /// Whether `name` is in the protocol group.
    pub fn is_protocol(&self, name: &str) -> bool {
        self.names
            .iter()
            .any(|(found, protocol)| found == name && *protocol)
    }
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

//! The tools that policies name: the configuration does not list those of the upstream, so a misspelt name is
//! found only when the upstream lists its own.
//!
//! Patterns of `like` name no tool.

use std::collections::BTreeSet;

use cedar_policy::{ActionConstraint, EntityUid, Policy, ResourceConstraint};

use crate::literals::{Compared, Form};
use crate::options::Options;
use crate::policy::LoadedPolicy;

/// Names of the tools that `policies` name, sorted and each once: as entities, as members of groups, and as texts that are
/// compared with `resource.name`.
pub fn named<'a>(
    policies: impl Iterator<Item = &'a LoadedPolicy>,
    options: &Options,
) -> Vec<Box<str>> {
    let mut names: BTreeSet<Box<str>> = BTreeSet::new();
    for loaded in policies {
        for entity in loaded.policy.entity_literals() {
            let id = entity.id().unescaped();
            match entity.type_name().basename() {
                "Tool" => {
                    names.insert(id.into());
                }
                "ToolGroup" => {
                    let members = options.tool_groups.get(id).into_iter().flatten();
                    names.extend(members.map(|member| Box::from(member.as_str())));
                }
                _ => {}
            }
        }
        let literals = loaded.literals.iter();
        let texts = literals
            .filter(|literal| literal.compared == Compared::Name && literal.form == Form::Equal);
        if is_of_tools(&loaded.policy) {
            names.extend(texts.map(|literal| Box::from(literal.text.as_str())));
        }
    }
    names.into_iter().collect()
}

/// Whether the scope of `policy` has tools only, so that its names are not those of prompts.
fn is_of_tools(policy: &Policy) -> bool {
    use ResourceConstraint as Resource;
    match policy.resource_constraint() {
        Resource::Is(kind) | Resource::IsIn(kind, _) if kind.basename() == "Tool" => return true,
        Resource::Eq(entity) | Resource::In(entity)
            if matches!(entity.type_name().basename(), "Tool" | "ToolGroup") =>
        {
            return true;
        }
        _ => {}
    }
    let has = |actions: &[EntityUid], name| actions.iter().any(|uid| uid.id().unescaped() == name);
    match policy.action_constraint() {
        ActionConstraint::Any => false,
        ActionConstraint::Eq(action) => has(&[action], "tools/call"),
        ActionConstraint::In(actions) => {
            has(&actions, "tools/call") && !has(&actions, "prompts/get")
        }
    }
}

//! Checks that groups and the upstream that policies name are defined in the configuration.
//!
//! Cedar validates the types of entities but does not know which entities exist: it would accept a
//! `forbid` on a misspelt group, which would never apply. Agents and tools are not checked, since the
//! configuration does not list them.

use std::collections::BTreeMap;

use cedar_policy::{EntityUid, Policy, PrincipalConstraint, ResourceConstraint};
use thoughtgate_mcp::folds_to;

use crate::error::LoadError;
use crate::literals::{NO_PATTERN, no_path, starred};
use crate::options::{Options, Source};
use crate::place;
use crate::similar::nearest;

/// Refuses groups without members, and names or members that are probably mistakes.
pub fn check_groups(options: &Options, errors: &mut Vec<LoadError>) {
    let groups = [
        ("agent.groups", &options.agent_groups),
        ("tool_groups", &options.tool_groups),
    ];
    for (setting, groups) in groups {
        let mut earlier: Vec<&str> = Vec::new();
        for (group, members) in groups {
            let mut refuse = |problem: String| {
                errors.push(LoadError::Group {
                    setting,
                    group: group.to_owned(),
                    problem,
                });
            };
            if is_blank(group) {
                refuse("the name is empty or has spaces around it".to_owned());
            }
            if let Some(other) = earlier.iter().find(|other| folds_to(group, other)) {
                refuse(format!("the name differs only in case from `{other}`"));
            }
            earlier.push(group);
            if members.is_empty() {
                refuse(
                    "it has no members, so that no policy on it can apply; add members or remove the group"
                        .to_owned(),
                );
            }
            for (number, member) in (1..).zip(members) {
                // Members are named by number: values of the configuration are never printed.
                if is_blank(member) {
                    refuse(format!("member {number} is empty or has spaces around it"));
                }
                if member.contains('*') {
                    refuse(format!("member {number} {NO_PATTERN}"));
                }
            }
        }
    }
}

fn is_blank(text: &str) -> bool {
    text.is_empty() || text.trim() != text
}

/// Refuses entities in `policy` that no request can match.
pub fn check(
    policy: &Policy,
    id: &str,
    source: &Source,
    options: &Options,
    errors: &mut Vec<LoadError>,
) {
    for entity in policy.entity_literals() {
        let Some(problem) = problem(&entity, options) else {
            continue;
        };
        let offset = entity.as_ref().loc().map(|loc| loc.span.offset());
        errors.push(LoadError::Reference {
            place: place::at(source, offset),
            policy: id.to_owned(),
            entity: entity.to_string(),
            problem,
        });
    }
    let principal = match policy.principal_constraint() {
        PrincipalConstraint::In(entity) | PrincipalConstraint::IsIn(_, entity) => Some(entity),
        _ => None,
    };
    let resource = match policy.resource_constraint() {
        ResourceConstraint::In(entity) | ResourceConstraint::IsIn(_, entity) => Some(entity),
        _ => None,
    };
    for entity in [principal, resource].into_iter().flatten() {
        let Some(problem) = no_group(&entity, options) else {
            continue;
        };
        let offset = entity.as_ref().loc().map(|loc| loc.span.offset());
        errors.push(LoadError::Reference {
            place: place::at(source, offset),
            policy: id.to_owned(),
            entity: format!("in {entity}"),
            problem,
        });
    }
}

/// The problem with `in` and an entity that has no members.
fn no_group(entity: &EntityUid, options: &Options) -> Option<String> {
    let id = entity.id().unescaped();
    let kind = entity.type_name().to_string();
    let (group, groups) = match kind.as_str() {
        "Agent" => ("Group", &options.agent_groups),
        "Tool" => ("ToolGroup", &options.tool_groups),
        "Prompt" | "Resource" => {
            return Some(format!("which is not a group; write `== {kind}::{id:?}`"));
        }
        _ => return None,
    };
    Some(if groups.contains_key(id) {
        format!("which is not a group; did you mean `in {group}::{id:?}`?")
    } else {
        format!("which is not a group; write `== {kind}::{id:?}`, or `in {group}::\"…\"`")
    })
}

fn problem(entity: &EntityUid, options: &Options) -> Option<String> {
    let id = entity.id().unescaped();
    let kind = entity.type_name().to_string();
    match kind.as_str() {
        "Group" => undefined(&kind, id, "agent.groups", &options.agent_groups),
        "ToolGroup" => undefined(&kind, id, "tool_groups", &options.tool_groups),
        "Upstream" if id != options.upstream => Some(format!(
            "which is not the configured `upstream.name`; did you mean `Upstream::{:?}`?",
            options.upstream
        )),
        "Agent" if id.contains('*') => Some(format!("which {NO_PATTERN}")),
        "Tool" | "Prompt" if id.contains('*') => Some(starred("name", id)),
        "Resource" if id.contains('*') => Some(starred("uri", id)),
        "Tool" | "Prompt" | "Resource" => no_path(id),
        _ => None,
    }
}

fn undefined(
    kind: &str,
    id: &str,
    setting: &str,
    groups: &BTreeMap<String, Vec<String>>,
) -> Option<String> {
    if groups.contains_key(id) {
        return None;
    }
    let names = || groups.keys().map(String::as_str);
    let help = match nearest(id, names()) {
        Some(name) => format!("did you mean `{kind}::{name:?}`?"),
        None if groups.is_empty() => format!("`{setting}` defines no groups"),
        None => {
            let some: Vec<String> = names().take(10).map(|name| format!("`{name}`")).collect();
            format!("defined groups: {}", some.join(", "))
        }
    };
    Some(format!("which `{setting}` does not define; {help}"))
}

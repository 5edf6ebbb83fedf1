//! Groups and the server's name: what policies refer to must be what the configuration defines.
//!
//! Cedar knows which types there are, and not which entities: a `forbid` on a misspelt group would be
//! accepted, and never apply.

use std::collections::BTreeMap;

use cedar_policy::{EntityUid, Policy};
use thoughtgate_mcp::folds_to;

use crate::engine::{Options, Source};
use crate::error::LoadError;
use crate::place;
use crate::similar::nearest;

/// Refuses groups that have no member or whose name or members cannot be meant as they are written.
pub fn check_groups(options: &Options) -> Result<(), LoadError> {
    let groups = [
        ("agent.groups", &options.agent_groups),
        ("tool_groups", &options.tool_groups),
    ];
    for (setting, groups) in groups {
        let refuse = |group: &str, problem: String| {
            Err(LoadError::Group {
                setting,
                group: group.to_owned(),
                problem,
            })
        };
        let mut earlier: Vec<&str> = Vec::new();
        for (group, members) in groups {
            if is_blank(group) {
                return refuse(
                    group,
                    "the name is empty or has spaces around it".to_owned(),
                );
            }
            if let Some(other) = earlier.iter().find(|other| folds_to(group, other)) {
                return refuse(
                    group,
                    format!("the name differs only in case from `{other}`"),
                );
            }
            earlier.push(group);
            if members.is_empty() {
                return refuse(
                    group,
                    "it has no members, so that no policy on it can apply; add some or remove it"
                        .to_owned(),
                );
            }
            for (number, member) in (1..).zip(members) {
                // Members are named by their place: the configuration's values are printed nowhere.
                if is_blank(member) {
                    let problem = format!("member {number} is empty or has spaces around it");
                    return refuse(group, problem);
                }
                if member.contains('*') {
                    return refuse(group, format!("member {number} {NO_PATTERN}"));
                }
            }
        }
    }
    Ok(())
}

/// Said of a name with a `*`.
const NO_PATTERN: &str = "has a `*`, but names are compared as they are and are not patterns; list \
                          each name";

fn is_blank(text: &str) -> bool {
    text.is_empty() || text.trim() != text
}

/// Refuses entities in `policy` that can be nobody and nothing.
pub fn check(
    policy: &Policy,
    id: &str,
    source: &Source,
    options: &Options,
) -> Result<(), LoadError> {
    for entity in policy.entity_literals() {
        let Some(problem) = problem(&entity, options) else {
            continue;
        };
        let offset = entity.as_ref().loc().map(|loc| loc.span.offset());
        return Err(LoadError::Reference {
            place: place::at(source, offset),
            policy: id.to_owned(),
            entity: entity.to_string(),
            problem,
        });
    }
    Ok(())
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
        "Tool" | "Agent" if id.contains('*') => Some(NO_PATTERN.to_owned()),
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
            format!("defined are {}", some.join(", "))
        }
    };
    Some(format!("which `{setting}` does not define; {help}"))
}

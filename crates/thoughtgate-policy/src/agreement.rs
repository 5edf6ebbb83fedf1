//! Checks that the policies of each tool agree on the types of arguments, and groups policies that one
//! schema can validate.
//!
//! Tools name their arguments on their own: `id` may be a string to one and a number to another. A
//! policy whose scope names no single tool may apply to any, so it must agree with all. Does not look
//! into conditions for tools that they exclude.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cedar_policy::{EntityUid, ResourceConstraint};

use crate::error::{LoadError, TypeConflict};
use crate::options::Source;
use crate::place;
use crate::policy::LoadedPolicy;
use crate::schema;
use crate::types::{Fields, conflict, join_fields};

/// Policies that agree, and the types of all arguments that they read.
pub struct Group {
    pub arguments: Fields,
    pub policies: Vec<Arc<LoadedPolicy>>,
}

/// Groups `policies`: as few groups as are easily found, nearly always one, and at least one. Policies that
/// disagree with an earlier one on the type of an argument are left out, each with an error.
pub fn groups(
    policies: &[Arc<LoadedPolicy>],
    sources: &[Source],
    errors: &mut Vec<LoadError>,
) -> Vec<Group> {
    let (Types { general, of_tools }, agreeing) = types(policies, sources, errors);
    let mut groups = vec![Group::new(general.clone())];
    let mut numbers = HashMap::new();
    for (tool, arguments) in &of_tools {
        let fits = |group: &Group| conflict(&group.arguments, arguments).is_none();
        let number = groups.iter().position(fits).unwrap_or_else(|| {
            groups.push(Group::new(general.clone()));
            groups.len() - 1
        });
        // `types` has compared them with what a new group has, too.
        let _ = join_fields(&mut groups[number].arguments, arguments);
        numbers.insert(tool, number);
    }
    for policy in &agreeing {
        // Policies for any tool are validated once, in the first group: all groups begin with their types.
        let number = tool_of(policy).map_or(0, |tool| numbers[&tool]);
        groups[number].policies.push(Arc::clone(policy));
    }
    groups
}

impl Group {
    fn new(arguments: Fields) -> Group {
        Group {
            arguments,
            policies: Vec::new(),
        }
    }
}

/// The arguments that policies read.
#[derive(Default)]
struct Types {
    /// By policies whose scope names no single tool.
    general: Fields,
    /// By those whose scope names this tool.
    of_tools: BTreeMap<EntityUid, Fields>,
}

/// The types, and the policies that agree on them.
fn types(
    policies: &[Arc<LoadedPolicy>],
    sources: &[Source],
    errors: &mut Vec<LoadError>,
) -> (Types, Vec<Arc<LoadedPolicy>>) {
    let mut types = Types::default();
    let mut agreeing = Vec::with_capacity(policies.len());
    for policy in policies {
        let arguments = &policy.reads.arguments;
        let tool = tool_of(policy);
        let agrees = |known: &Fields| conflict(known, arguments).is_none();
        let agree = agrees(&types.general)
            && match &tool {
                Some(tool) => types.of_tools.get(tool).is_none_or(agrees),
                None => arguments.is_empty() || types.of_tools.values().all(agrees),
            };
        if !agree {
            errors.push(disagreement(&agreeing, policy, sources));
            continue;
        }
        let into = match tool {
            Some(tool) => types.of_tools.entry(tool).or_default(),
            None => &mut types.general,
        };
        // Cannot fail: the types have just been found to agree.
        let _ = join_fields(into, arguments);
        agreeing.push(Arc::clone(policy));
    }
    (types, agreeing)
}

/// The tool that the scope of `policy` requires with `==`, if it does.
fn tool_of(policy: &LoadedPolicy) -> Option<EntityUid> {
    match policy.policy.resource_constraint() {
        ResourceConstraint::Eq(entity) if schema::is_tool(&entity) => Some(entity),
        _ => None,
    }
}

/// The error for `policy`, which disagrees with one of the `earlier` ones.
fn disagreement(
    earlier: &[Arc<LoadedPolicy>],
    policy: &LoadedPolicy,
    sources: &[Source],
) -> LoadError {
    let tool = tool_of(policy);
    let found = earlier.iter().find_map(|other| {
        let apart = matches!((&tool, tool_of(other)), (Some(tool), Some(other)) if *tool != other);
        let conflict = conflict(&other.reads.arguments, &policy.reads.arguments);
        Some((other, conflict.filter(|_| !apart)?))
    });
    let Some((other, conflict)) = found else {
        return LoadError::Internal("policies disagree on types, but no two of them".into());
    };
    let place = |loaded: &LoadedPolicy| {
        let source = sources.iter().find(|source| source.name == *loaded.file);
        source
            .and_then(|source| place::of_argument(source, &loaded.policy, &conflict.argument, 0))
            .unwrap_or_else(|| loaded.place.to_string())
    };
    LoadError::TypeConflict(Box::new(TypeConflict {
        place: place(policy),
        policy: policy.id.to_string(),
        used_as: conflict.second,
        other: Some(other.id.to_string()),
        other_place: place(other),
        other_used_as: conflict.first,
        argument: conflict.argument,
    }))
}

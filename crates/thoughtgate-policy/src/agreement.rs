//! Checks that the policies of each tool agree on the types of arguments, and groups policies that one
//! schema can validate.
//!
//! Tools name their arguments on their own: `id` may be a string to one and a number to another. So only
//! policies whose scopes can match one tool must agree; `reach.rs` determines which those are. Does not look
//! into conditions for tools that they exclude.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::{LoadError, TypeConflict};
use crate::options::{Options, Source};
use crate::place;
use crate::policy::LoadedPolicy;
use crate::reach::{Names, Reach};
use crate::types::{Fields, conflict, join_fields};

/// Policies that agree, and the types of all arguments that they read.
#[derive(Default)]
pub struct Group {
    pub arguments: Fields,
    pub policies: Vec<Arc<LoadedPolicy>>,
}

/// Groups `policies`: as few groups as are easily found, nearly always one, and at least one. Policies that
/// disagree with an earlier one on the type of an argument are left out, each with an error.
pub fn groups(
    policies: &[Arc<LoadedPolicy>],
    sources: &[Source],
    options: &Options,
    errors: &mut Vec<LoadError>,
) -> Vec<Group> {
    let mut groups = vec![Group::default()];
    for policy in agreeing(policies, sources, options, errors) {
        let arguments = &policy.reads.arguments;
        let fits = |group: &Group| conflict(&group.arguments, arguments).is_none();
        let number = groups.iter().position(fits).unwrap_or_else(|| {
            groups.push(Group::default());
            groups.len() - 1
        });
        let group = &mut groups[number];
        // Cannot fail: they have just been found to fit.
        let _ = join_fields(&mut group.arguments, arguments);
        group.policies.push(policy);
    }
    groups
}

/// The policies that agree with all earlier ones of these.
fn agreeing(
    policies: &[Arc<LoadedPolicy>],
    sources: &[Source],
    options: &Options,
    errors: &mut Vec<LoadError>,
) -> Vec<Arc<LoadedPolicy>> {
    let mut known: [Known; 4] = Default::default();
    let mut agreeing = Vec::with_capacity(policies.len());
    for policy in policies {
        let arguments = &policy.reads.arguments;
        if !arguments.is_empty() {
            let reach = Reach::of(&policy.policy, options);
            let mut kinds = reach.kinds();
            if !kinds.all(|(kind, names)| known[kind as usize].agrees(names, arguments)) {
                errors.push(disagreement(&agreeing, policy, &reach, sources, options));
                continue;
            }
            for (kind, names) in reach.kinds() {
                known[kind as usize].add(names, arguments);
            }
        }
        agreeing.push(Arc::clone(policy));
    }
    agreeing
}

/// The arguments that policies read of one kind of resource.
#[derive(Default)]
struct Known {
    /// By policies that can match every name.
    general: Fields,
    /// By those that can match this name, among few.
    named: BTreeMap<String, Fields>,
}

impl Known {
    /// Whether a policy that reads `arguments` of `names` agrees with all that were added.
    fn agrees(&self, names: &Names, arguments: &Fields) -> bool {
        let agrees = |known: &Fields| conflict(known, arguments).is_none();
        let mut some = match names {
            Names::All => return agrees(&self.general) && self.named.values().all(agrees),
            Names::Only(names) => names.iter().filter_map(|name| self.named.get(name)),
        };
        agrees(&self.general) && some.all(agrees)
    }

    fn add(&mut self, names: &Names, arguments: &Fields) {
        // Cannot fail: the types have just been found to agree.
        match names {
            Names::All => {
                let _ = join_fields(&mut self.general, arguments);
            }
            Names::Only(names) => {
                for name in names {
                    let known = self.named.entry(name.clone()).or_default();
                    let _ = join_fields(known, arguments);
                }
            }
        }
    }
}

/// The error for `policy`, which disagrees with one of the `earlier` ones.
fn disagreement(
    earlier: &[Arc<LoadedPolicy>],
    policy: &LoadedPolicy,
    reach: &Reach,
    sources: &[Source],
    options: &Options,
) -> LoadError {
    let found = earlier.iter().find_map(|other| {
        let conflict = conflict(&other.reads.arguments, &policy.reads.arguments)?;
        let shared = reach.shared(&Reach::of(&other.policy, options))?;
        Some((other, conflict, shared))
    });
    let Some((other, conflict, shared)) = found else {
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
        shared: shared.shown(),
        other_place: place(other),
        other_used_as: conflict.first,
        argument: conflict.argument,
    }))
}

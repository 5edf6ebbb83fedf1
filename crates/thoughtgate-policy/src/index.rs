//! Finds the policies whose scope may match a request, without looking at all of them.
//!
//! Cedar's authorizer goes through every policy. Most policies name one tool or one agent, so they are
//! indexed by that entity; the few that name neither are always candidates. Does not decide whether a
//! scope matches: Cedar does, so a bucket may contain too many policies but never too few.

use std::collections::HashMap;

use cedar_policy::{EntityUid, PrincipalConstraint, ResourceConstraint};

use crate::policy::LoadedPolicy;

/// Positions of policies, by the resource or the principal that their scope requires with `==`.
#[derive(Debug, Default)]
pub struct Index {
    by_entity: HashMap<EntityUid, Vec<usize>>,
    others: Vec<usize>,
}

impl Index {
    /// Indexes `policies`; their order gives the positions.
    pub fn new<'a>(policies: impl Iterator<Item = &'a LoadedPolicy>) -> Index {
        let mut index = Index::default();
        for (position, loaded) in policies.enumerate() {
            let policy = &loaded.policy;
            let bucket = match (policy.resource_constraint(), policy.principal_constraint()) {
                // Policies name more tools than agents, so the resource makes smaller buckets.
                (ResourceConstraint::Eq(entity), _) | (_, PrincipalConstraint::Eq(entity)) => {
                    index.by_entity.entry(entity).or_default()
                }
                _ => &mut index.others,
            };
            bucket.push(position);
        }
        index
    }

    /// Positions of the policies that may apply to this principal and this resource.
    pub fn candidates<'a>(
        &'a self,
        principal: &EntityUid,
        resource: &EntityUid,
    ) -> impl Iterator<Item = usize> + use<'a> {
        let named = |entity| self.by_entity.get(entity).into_iter().flatten();
        named(resource)
            .chain(named(principal))
            .chain(&self.others)
            .copied()
    }
}

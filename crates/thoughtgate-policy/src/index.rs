//! Finds the policies whose scope may match a request, without looking at all of them.
//!
//! Cedar's authorizer goes through every policy. Most name one tool or one agent, so they are kept by
//! the entity that their scope demands; the few that name none are candidates always. Whether a
//! candidate's scope does match is for Cedar to say, so a bucket may hold too much and never too little.

use std::collections::HashMap;

use cedar_policy::{EntityUid, PrincipalConstraint, ResourceConstraint};

use crate::policy::Known;

/// Positions of policies, by what their scope demands.
#[derive(Debug, Default)]
pub struct Index {
    by_entity: HashMap<EntityUid, Vec<usize>>,
    others: Vec<usize>,
}

impl Index {
    /// Sorts policies into buckets.
    pub fn new<'a>(policies: impl Iterator<Item = &'a Known>) -> Index {
        let mut index = Index::default();
        for (position, known) in policies.enumerate() {
            let policy = &known.policy;
            let bucket = match (policy.resource_constraint(), policy.principal_constraint()) {
                // A file has more tools than agents, so the resource parts policies better.
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

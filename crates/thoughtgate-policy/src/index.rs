//! Finds the policies whose scope can match a request, without looking at all of them.
//!
//! Cedar's authorizer goes through every policy. Most name one tool, so they are kept by the entity
//! that their scope demands; the few that name none are candidates always. A policy whose head cannot
//! match never applies, so leaving it out changes no decision.

use std::collections::HashMap;

use cedar_policy::{ActionConstraint, EntityUid, PrincipalConstraint, ResourceConstraint};

use crate::policy::Known;
use crate::schema::{Actions, PROTOCOL, action};

/// Positions of policies, by what their scope demands.
#[derive(Debug, Default)]
pub struct Index {
    by_resource: HashMap<EntityUid, Vec<usize>>,
    any_resource: Vec<usize>,
}

impl Index {
    /// Sorts `policies` into buckets.
    pub fn new(policies: &[Known]) -> Index {
        let mut index = Index::default();
        for (position, known) in policies.iter().enumerate() {
            match known.policy.resource_constraint() {
                ResourceConstraint::Eq(resource) => index
                    .by_resource
                    .entry(resource)
                    .or_default()
                    .push(position),
                // Groups and types are left to Cedar: the bucket only has to hold too much.
                _ => index.any_resource.push(position),
            }
        }
        index
    }

    /// The policies that may apply to this request.
    pub fn candidates<'a>(
        &'a self,
        policies: &'a [Known],
        actions: &'a Actions,
        request: (&'a EntityUid, &'a str, &'a EntityUid),
    ) -> impl Iterator<Item = &'a Known> {
        let (principal, action, resource) = request;
        let named = self
            .by_resource
            .get(resource)
            .map_or(&[][..], Vec::as_slice);
        named
            .iter()
            .chain(&self.any_resource)
            .filter_map(|position| policies.get(*position))
            .filter(move |known| {
                may_be_principal(known, principal) && may_be_action(known, actions, action)
            })
    }
}

fn may_be_principal(known: &Known, principal: &EntityUid) -> bool {
    match known.policy.principal_constraint() {
        PrincipalConstraint::Eq(wanted) => wanted == *principal,
        _ => true,
    }
}

fn may_be_action(known: &Known, actions: &Actions, name: &str) -> bool {
    let is = |wanted: &EntityUid| {
        *wanted == action(name) || (*wanted == action(PROTOCOL) && actions.is_protocol(name))
    };
    match known.policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(wanted) => is(&wanted),
        ActionConstraint::In(wanted) => wanted.iter().any(is),
    }
}

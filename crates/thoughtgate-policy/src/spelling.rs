//! Refuses names and URIs that a server could read as another path than policies do: a `forbid` of
//! `file:///etc/passwd` must mean that file, however it is written.
//!
//! Looks at policies whose scope does not match, too: a scope that names a resource does not match other
//! spellings of it.

use std::sync::Arc;

use cedar_policy::{Context, EntityTypeName, EntityUid, ResourceConstraint};

use crate::fault::ResidualError;
use crate::literals::Compared;
use crate::paths::{ambiguity, is_file, is_other_uri, is_path};
use crate::policy::LoadedPolicy;
use crate::scope::{Attribute, Scope};

/// The policies that compare the name or URI of a resource with a path: as a text, or as an entity.
pub struct ComparedPaths(Vec<Arc<LoadedPolicy>>);

impl ComparedPaths {
    /// The ones of `policies` that do.
    pub fn of(policies: &[Arc<LoadedPolicy>]) -> ComparedPaths {
        let compares = |policy: &&Arc<LoadedPolicy>| {
            let entities = policy.policy.entity_literals();
            reads_path(policy) || entities.iter().any(|entity| is_path(id(entity)))
        };
        ComparedPaths(policies.iter().filter(compares).cloned().collect())
    }

    /// Refuses the resource of `scope` if one of these policies may concern it, and a server could read it
    /// as a different path.
    pub fn check(&self, scope: &Scope) -> Result<(), ResidualError> {
        let Some(attribute) = scope.attribute.filter(|_| !self.0.is_empty()) else {
            return Ok(());
        };
        let text = id(&scope.resource);
        let is_uri = attribute == Attribute::Uri;
        if is_uri && is_other_uri(text) {
            return Ok(());
        }
        let problem = ambiguity(text);
        let has_no_scheme = is_uri && !is_file(text);
        if problem.is_none() && !has_no_scheme {
            return Ok(());
        }
        for policy in &self.0 {
            if !concerns(policy, scope)? {
                continue;
            }
            if let Some(problem) = problem {
                return Err(ResidualError::Path {
                    name: attribute.shown(),
                    problem,
                });
            }
            if names_file(policy) {
                return Err(ResidualError::Scheme);
            }
        }
        Ok(())
    }
}

/// Whether the resource of `scope` is compared with a path by `policy`, or would be if it were spelt as
/// the policy's scope has it.
fn concerns(policy: &LoadedPolicy, scope: &Scope) -> Result<bool, ResidualError> {
    let kind = scope.resource.type_name();
    let request = scope.request(Context::empty());
    let matches = policy.rule.matches(&request, &scope.entities);
    let [action, principal, resource] = matches.map_err(ResidualError::Scope)?;
    let names_path = |entity: &EntityUid| is_path_of(kind, entity);
    let is_named = matches!(
        policy.policy.resource_constraint(),
        ResourceConstraint::Eq(entity) if names_path(&entity)
    );
    let compares = || {
        let entities = policy.policy.entity_literals();
        reads_path(policy) || entities.iter().any(names_path)
    };
    Ok(action && principal && (is_named || resource && compares()))
}

fn is_path_of(kind: &EntityTypeName, entity: &EntityUid) -> bool {
    entity.type_name() == kind && is_path(id(entity))
}

/// Whether `policy` compares the name or URI with a path as a text.
fn reads_path(policy: &LoadedPolicy) -> bool {
    policy.reads.name.is_some_and(|text| text.path)
}

/// Whether `policy` names files by URIs.
fn names_file(policy: &LoadedPolicy) -> bool {
    let mut literals = policy.literals.iter();
    literals.any(|literal| literal.compared == Compared::Uri && is_file(&literal.text))
        || policy
            .policy
            .entity_literals()
            .iter()
            .any(|entity| is_file(id(entity)))
}

fn id(entity: &EntityUid) -> &str {
    entity.id().unescaped()
}

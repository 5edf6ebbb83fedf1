//! What is left to decide for one principal, action and resource once everything that holds for every
//! such call has been decided.
//!
//! Policies that read nothing of the call are evaluated once, when the slice is made. If they forbid,
//! or if nothing else could apply, the decision is final; else only the policies that read the call
//! are evaluated with each one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use cedar_policy::{
    Authorizer, Context, Effect, Entities, EntityUid, PolicySet, Request, Response,
};
use serde_json::value::RawValue;

use crate::arguments;
use crate::engine::{Decision, Outcome};
use crate::error::LoadError;
use crate::policy::{Approve, Known};
use crate::reads::Reads;

/// The remaining question, or its answer.
#[derive(Debug)]
pub enum Slice {
    /// Holds for every call.
    Final(Decision),
    /// Depends on the call.
    Open(Box<Open>),
}

/// What each call must be asked.
#[derive(Debug)]
pub struct Open {
    request: (EntityUid, EntityUid, EntityUid),
    entities: Entities,
    reading: PolicySet,
    reads: Reads,
    annotations: HashMap<String, Annotation>,
    /// Permits that hold whatever the call says.
    permits: Vec<Annotation>,
    may_permit: bool,
}

/// What a decision says of a determining policy.
#[derive(Debug, Clone)]
struct Annotation {
    id: Arc<str>,
    approve: Option<Approve>,
}

impl Slice {
    /// Decides as far as the call does not matter. `candidates` are the policies whose scope may match.
    pub fn new<'a>(
        request: (EntityUid, EntityUid, EntityUid),
        entities: Entities,
        candidates: impl Iterator<Item = &'a Known>,
    ) -> Result<Slice, LoadError> {
        let (mut constant, mut reading) = (Vec::new(), Vec::new());
        for known in candidates {
            if known.reads.is_nothing() {
                constant.push(known);
            } else {
                reading.push(known);
            }
        }
        let response = evaluate(
            &request,
            &entities,
            &policy_set(&constant)?,
            Context::empty(),
        );
        let annotations = annotations(&constant);
        let found = Found::of(&response, &annotations);
        let response_is_final =
            found.error.is_some() || found.forbids(&constant) || reading.is_empty();
        if response_is_final {
            return Ok(Slice::Final(
                found.decision(response.decision() == cedar_policy::Decision::Allow),
            ));
        }
        let mut reads = Reads::default();
        for known in &reading {
            reads
                .join(&known.reads)
                .map_err(|_| LoadError::Internal("types agree since load".to_owned()))?;
        }
        let may_permit = !found.policies.is_empty()
            || reading
                .iter()
                .any(|known| known.policy.effect() == Effect::Permit);
        Ok(Slice::Open(Box::new(Open {
            request,
            entities,
            reading: policy_set(&reading)?,
            reads,
            annotations: self::annotations(&reading),
            permits: found.policies,
            may_permit,
        })))
    }

    /// Whether some call could be forwarded or approved.
    pub fn may_pass(&self) -> bool {
        match self {
            Slice::Final(decision) => decision.outcome != Outcome::Reject,
            Slice::Open(open) => open.may_permit,
        }
    }
}

impl Open {
    /// Whether arguments matter, and not the time alone.
    pub fn reads_arguments(&self) -> bool {
        !self.reads.arguments.is_empty()
    }

    /// Decides one call.
    pub fn decide(&self, arguments: Option<&RawValue>, now: SystemTime) -> Decision {
        let context = match arguments::context(&self.reads, arguments, now) {
            Ok(context) => context,
            Err(reason) => return Decision::error(&reason),
        };
        let response = evaluate(&self.request, &self.entities, &self.reading, context);
        let mut found = Found::of(&response, &self.annotations);
        let allowed = response.decision() == cedar_policy::Decision::Allow;
        // Without a satisfied forbid, the permits that always hold decide too.
        let forbidden = !allowed && !found.policies.is_empty();
        if !forbidden {
            found.policies.extend(self.permits.iter().cloned());
        }
        let permitted = !forbidden && !found.policies.is_empty();
        found.decision(permitted)
    }
}

fn evaluate(
    request: &(EntityUid, EntityUid, EntityUid),
    entities: &Entities,
    policies: &PolicySet,
    context: Context,
) -> Response {
    let (principal, action, resource) = request.clone();
    // Without a schema nothing is checked here, and nothing can fail: policies were validated at load.
    let request = Request::new(principal, action, resource, context, None)
        .expect("only a schema's check can fail");
    Authorizer::new().is_authorized(&request, policies, entities)
}

/// Cedar's answer, in the words of this crate.
struct Found {
    policies: Vec<Annotation>,
    error: Option<String>,
}

impl Found {
    fn of(response: &Response, annotations: &HashMap<String, Annotation>) -> Found {
        let diagnostics = response.diagnostics();
        let policies = diagnostics
            .reason()
            .filter_map(|id| annotations.get(AsRef::<str>::as_ref(id)).cloned())
            .collect();
        Found {
            policies,
            error: diagnostics.errors().next().map(ToString::to_string),
        }
    }

    fn forbids(&self, policies: &[&Known]) -> bool {
        let is_forbid = |id: &Arc<str>| {
            policies
                .iter()
                .any(|known| known.id == *id && known.policy.effect() == Effect::Forbid)
        };
        self.policies
            .iter()
            .any(|annotation| is_forbid(&annotation.id))
    }

    /// An error in any candidate is a refusal: Cedar would skip that policy, a forbid too.
    fn decision(mut self, permitted: bool) -> Decision {
        if let Some(error) = self.error {
            return Decision::error(&error);
        }
        self.policies.sort_by(|left, right| left.id.cmp(&right.id));
        let outcome = match self
            .policies
            .iter()
            .find_map(|annotation| annotation.approve.clone())
        {
            _ if !permitted => Outcome::Reject,
            Some(Approve { channel }) => Outcome::Approve { channel },
            None => Outcome::Forward,
        };
        Decision {
            outcome,
            policies: self
                .policies
                .into_iter()
                .map(|annotation| annotation.id)
                .collect(),
            error: None,
        }
    }
}

fn annotations(policies: &[&Known]) -> HashMap<String, Annotation> {
    let annotation = |known: &Known| Annotation {
        id: Arc::clone(&known.id),
        approve: known.approve.clone(),
    };
    policies
        .iter()
        .map(|known| (known.id.to_string(), annotation(known)))
        .collect()
}

fn policy_set(policies: &[&Known]) -> Result<PolicySet, LoadError> {
    PolicySet::from_policies(policies.iter().map(|known| known.policy.clone()))
        .map_err(|error| LoadError::Internal(error.to_string()))
}

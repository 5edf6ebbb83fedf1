//! What is left to decide for one principal, action and resource once everything that holds for every
//! such call has been decided.
//!
//! Scopes are matched, and policies that read nothing of the call are evaluated, once, when the slice
//! is made. If they forbid, or if nothing else applies, the decision is final; else only the conditions
//! of the policies that apply and read the call are evaluated with each one.

use std::sync::Arc;
use std::time::SystemTime;

use cedar_policy::{Context, Effect, Entities, EntityUid, Request};
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
    asked: Asked,
    /// Policies that apply and read the call.
    reading: Vec<Arc<Known>>,
    /// What they read, together.
    reads: Reads,
    /// Permits that hold whatever the call says.
    permits: Vec<Arc<Known>>,
}

/// Who asks for what, and what Cedar must know of them.
#[derive(Debug)]
pub struct Asked {
    pub principal: EntityUid,
    pub action: EntityUid,
    pub resource: EntityUid,
    pub entities: Entities,
}

impl Asked {
    fn request(&self, context: Context) -> Request {
        let (principal, action, resource) = (
            self.principal.clone(),
            self.action.clone(),
            self.resource.clone(),
        );
        // Without a schema nothing is checked here, and nothing can fail: policies were validated at load.
        Request::new(principal, action, resource, context, None)
            .expect("only a schema's check can fail")
    }
}

impl Slice {
    /// Decides as far as the call does not matter. `candidates` are the policies whose scope may match.
    pub fn new<'a>(
        asked: Asked,
        candidates: impl Iterator<Item = &'a Arc<Known>>,
    ) -> Result<Slice, LoadError> {
        let request = asked.request(Context::empty());
        let (mut found, mut reading) = (Found::default(), Vec::new());
        let mut reads = Reads::default();
        for known in candidates {
            let applies = known.rule.applies(&request, &asked.entities);
            if !applies.map_err(LoadError::Internal)? {
                continue;
            }
            if known.reads.is_nothing() {
                found.add(known, &request, &asked.entities);
            } else {
                reads
                    .join(&known.reads)
                    .map_err(|_| LoadError::Internal("types agree since load".to_owned()))?;
                reading.push(Arc::clone(known));
            }
        }
        if reading.is_empty() || found.error.is_some() || !found.forbids.is_empty() {
            return Ok(Slice::Final(found.decision()));
        }
        let permits = found.permits.into_iter().map(Arc::clone).collect();
        Ok(Slice::Open(Box::new(Open {
            asked,
            reading,
            reads,
            permits,
        })))
    }

    /// Whether some call could be forwarded or approved.
    pub fn may_pass(&self) -> bool {
        match self {
            Slice::Final(decision) => decision.outcome != Outcome::Reject,
            Slice::Open(open) => {
                let mut some = open.permits.iter().chain(&open.reading);
                some.any(|known| known.effect() == Effect::Permit)
            }
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
        let request = self.asked.request(context);
        let mut found = Found {
            permits: self.permits.iter().collect(),
            ..Found::default()
        };
        for known in &self.reading {
            found.add(known, &request, &self.asked.entities);
        }
        found.decision()
    }
}

/// The policies that are satisfied, and the first that could not be evaluated.
#[derive(Default)]
struct Found<'a> {
    permits: Vec<&'a Arc<Known>>,
    forbids: Vec<&'a Arc<Known>>,
    error: Option<String>,
}

impl<'a> Found<'a> {
    /// Evaluates the condition of a policy whose scope matches.
    fn add(&mut self, known: &'a Arc<Known>, request: &Request, entities: &Entities) {
        match known.rule.holds(request, entities) {
            Ok(true) if known.effect() == Effect::Permit => self.permits.push(known),
            Ok(true) => self.forbids.push(known),
            Ok(false) => {}
            Err(error) => {
                let id = &known.id;
                let error = || format!("error while evaluating policy `{id}`: {error}");
                self.error.get_or_insert_with(error);
            }
        }
    }

    /// One forbid outweighs all permits. An error in any policy is a refusal: Cedar would skip that
    /// policy, a forbid too.
    fn decision(self) -> Decision {
        if let Some(error) = self.error {
            return Decision::error(&error);
        }
        let forbidden = !self.forbids.is_empty();
        let mut determining = if forbidden {
            self.forbids
        } else {
            self.permits
        };
        determining.sort_by(|left, right| left.id.cmp(&right.id));
        let approve = determining.iter().find_map(|known| known.approve.as_ref());
        let outcome = match approve {
            _ if forbidden || determining.is_empty() => Outcome::Reject,
            Some(Approve { channel }) => Outcome::Approve {
                channel: channel.clone(),
            },
            None => Outcome::Forward,
        };
        Decision {
            outcome,
            policies: determining
                .iter()
                .map(|known| Arc::clone(&known.id))
                .collect(),
            error: None,
        }
    }
}

//! What is left to decide for one principal, action and resource once everything that holds for every
//! such call has been decided.
//!
//! Scopes are matched, and policies that read nothing of the call are evaluated, once, when the slice
//! is made. If they forbid, or if nothing else applies, the decision is final; else only the conditions
//! of the policies that apply and read the call are evaluated with each one.

use std::sync::Arc;
use std::time::SystemTime;

use cedar_policy::{Context, Effect, Entities, Request};
use serde_json::value::RawValue;

use crate::annotations::Approve;
use crate::arguments;
use crate::asked::Asked;
use crate::engine::{Decision, Outcome};
use crate::memory::Memory;
use crate::policy::Known;
use crate::reads::Reads;
use crate::types::paths;

/// The remaining question, or its answer, for one principal, action and resource.
#[derive(Debug)]
pub struct Slice {
    /// None where the decision is final.
    asked: Option<Asked>,
    /// Shared by all slices to which the same policies apply.
    pub rest: Arc<Rest>,
}

/// What is left of the policies.
#[derive(Debug)]
pub struct Rest {
    /// Numbers of the policies, in the order that names this rest.
    pub numbers: Arc<[u32]>,
    /// An estimate of its size.
    pub bytes: usize,
    left: Left,
}

#[derive(Debug)]
enum Left {
    /// Holds for every call.
    Final(Decision),
    /// Depends on the call.
    Open(Open),
}

/// What each call must be asked.
#[derive(Debug)]
struct Open {
    /// Policies that apply and read the call.
    reading: Vec<Arc<Known>>,
    /// What they read, together.
    reads: Reads,
    /// Permits that hold whatever the call says.
    permits: Vec<Arc<Known>>,
}

impl Slice {
    /// Decides as far as the call does not matter. `candidates` are the policies whose scope may match.
    pub fn new<'a>(
        asked: Asked,
        candidates: impl Iterator<Item = &'a Arc<Known>>,
        memory: &Memory,
    ) -> Result<Slice, String> {
        let request = asked.request(Context::empty());
        let (mut found, mut reading) = (Found::default(), Vec::new());
        for known in candidates {
            if !known.rule.applies(&request, &asked.entities)? {
                continue;
            }
            if known.reads.is_nothing() {
                found.add(known, &request, &asked.entities);
            } else {
                reading.push(known);
            }
        }
        let is_final = reading.is_empty() || found.error.is_some() || !found.forbids.is_empty();
        if is_final {
            reading.clear();
        }
        let numbers = numbers(&reading, &found);
        let rest = match memory.shared(&numbers) {
            Some(rest) => rest,
            None => Arc::new(Rest::new(numbers, &reading, found)?),
        };
        Ok(Slice {
            asked: (!is_final).then_some(asked),
            rest,
        })
    }

    /// Decides one call.
    pub fn decide(&self, arguments: Option<&RawValue>, now: SystemTime) -> Decision {
        match (&self.rest.left, &self.asked) {
            (Left::Final(decision), _) => decision.clone(),
            (Left::Open(open), Some(asked)) => open.decide(asked, arguments, now),
            (Left::Open(_), None) => Decision::error("nobody asks"),
        }
    }

    /// Whether some call could be forwarded or approved.
    pub fn may_pass(&self) -> bool {
        match &self.rest.left {
            Left::Final(decision) => decision.outcome != Outcome::Reject,
            Left::Open(open) => {
                let mut some = open.permits.iter().chain(&open.reading);
                some.any(|known| known.effect() == Effect::Permit)
            }
        }
    }

    /// An estimate of its size without what it shares.
    pub fn own_bytes(&self) -> usize {
        size_of::<Slice>() + self.asked.as_ref().map_or(0, |asked| asked.bytes)
    }
}

/// Names a rest: policies that read the call, and after a mark those that hold without.
fn numbers(reading: &[&Arc<Known>], found: &Found<'_>) -> Vec<u32> {
    let numbers =
        |known: &[&Arc<Known>]| known.iter().map(|known| known.number).collect::<Vec<_>>();
    let holding = [&found.permits, &found.forbids].map(|known| numbers(known));
    // An error, too, is one of the policies' and holds for all to which they apply.
    [
        numbers(reading),
        vec![u32::MAX],
        holding.concat(),
        found.failed.into_iter().collect(),
    ]
    .concat()
}

impl Rest {
    fn new(numbers: Vec<u32>, reading: &[&Arc<Known>], found: Found<'_>) -> Result<Rest, String> {
        /// An argument in [`Reads`]: its name, its type, its place in a tree.
        const READ_BYTES: usize = 160;
        /// A number, a pointer in a list, and one in a decision.
        const POLICY_BYTES: usize = 32;
        let mut bytes = size_of::<Rest>() + numbers.len() * POLICY_BYTES;
        let left = if reading.is_empty() {
            Left::Final(found.decision())
        } else {
            let mut reads = Reads::default();
            for known in reading {
                reads
                    .join(&known.reads)
                    .map_err(|_| "policies disagree on an argument's type".to_owned())?;
            }
            let names = paths(&reads.arguments);
            bytes += names
                .iter()
                .map(|name| READ_BYTES + name.len())
                .sum::<usize>();
            Left::Open(Open {
                reading: reading.iter().map(|known| Arc::clone(known)).collect(),
                reads,
                permits: found.permits.into_iter().map(Arc::clone).collect(),
            })
        };
        Ok(Rest {
            numbers: numbers.into(),
            bytes,
            left,
        })
    }
}

impl Open {
    fn decide(&self, asked: &Asked, arguments: Option<&RawValue>, now: SystemTime) -> Decision {
        let context = match arguments::context(&self.reads, arguments, now) {
            Ok(context) => context,
            Err(reason) => return Decision::error(&reason),
        };
        let request = asked.request(context);
        let mut found = Found {
            permits: self.permits.iter().collect(),
            ..Found::default()
        };
        for known in &self.reading {
            found.add(known, &request, &asked.entities);
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
    /// That policy's number.
    failed: Option<u32>,
}

impl<'a> Found<'a> {
    /// Evaluates the condition of a policy whose scope matches.
    fn add(&mut self, known: &'a Arc<Known>, request: &Request, entities: &Entities) {
        match known.rule.holds(request, entities) {
            Ok(true) if known.effect() == Effect::Permit => self.permits.push(known),
            Ok(true) => self.forbids.push(known),
            Ok(false) => {}
            Err(failure) => {
                self.failed.get_or_insert(known.number);
                self.error.get_or_insert_with(|| known.error(failure));
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

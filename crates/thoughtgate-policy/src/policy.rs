//! One policy as it was read: its id, what it reads of a call, and whether it asks for approval.

use std::collections::HashSet;
use std::sync::Arc;

use cedar_policy::{
    Effect, Policy, PolicyId, PolicySet, Schema, ValidationMode, ValidationWarning, Validator,
};
use miette::Diagnostic;

use crate::annotations::{self, Approve};
use crate::depth;
use crate::engine::{Options, Source};
use crate::error::LoadError;
use crate::place;
use crate::reads::{Reads, Unreadable};
use crate::references;
use crate::rule::Rule;
use crate::schema;
use crate::types::paths;

/// A policy and what this crate knows of it.
#[derive(Debug)]
pub struct Known {
    /// In Cedar's form, under its final id.
    pub policy: Policy,
    /// What is evaluated of it.
    pub rule: Rule,
    /// The `@id`, or `policyN@file`.
    pub id: Arc<str>,
    /// The file it came from.
    pub file: Arc<str>,
    /// `file:line:column`.
    pub place: Arc<str>,
    /// Counted through all policies.
    pub number: u32,
    /// What it reads of a call.
    pub reads: Reads,
    /// Its `@approve`, if it has one.
    pub approve: Option<Approve>,
}

impl Known {
    /// Whether it permits or forbids.
    pub fn effect(&self) -> Effect {
        self.policy.effect()
    }

    /// Why it cannot be evaluated for some call, in words that quote nothing of the call.
    pub fn error(&self, failure: &str) -> String {
        let id = &self.id;
        let read = paths(&self.reads.arguments);
        if read.is_empty() {
            return format!("error while evaluating policy `{id}`: {failure}");
        }
        let read = read.join("`, `");
        format!("error while evaluating policy `{id}`, which reads `{read}`: {failure}")
    }
}

/// The file name under which the baseline's policies are reported.
pub const BASELINE_FILE: &str = "thoughtgate:baseline";

/// Parses all sources, the baseline first.
pub fn parse_all(sources: &[Source], options: &Options) -> Result<Vec<Arc<Known>>, LoadError> {
    let baseline = Source {
        name: BASELINE_FILE.to_owned(),
        text: schema::BASELINE.to_owned(),
    };
    let mut ids = HashSet::new();
    let mut all = Vec::new();
    for source in std::iter::once(&baseline).chain(sources) {
        for mut known in parse(source, options)? {
            known.number = u32::try_from(all.len()).unwrap_or(u32::MAX);
            if !ids.insert(Arc::clone(&known.id)) {
                return Err(LoadError::DuplicateId {
                    place: known.place.to_string(),
                    policy: known.id.to_string(),
                });
            }
            all.push(Arc::new(known));
        }
    }
    Ok(all)
}

fn parse(source: &Source, options: &Options) -> Result<Vec<Known>, LoadError> {
    depth::check(source)?;
    let file: Arc<str> = Arc::from(source.name.as_str());
    let set: PolicySet = source
        .text
        .parse()
        .map_err(|error: cedar_policy::ParseErrors| LoadError::Parse {
            place: place::of_error(source, &error).unwrap_or_else(|| source.name.clone()),
            message: with_help(&error),
        })?;
    if set.num_of_templates() > 0 {
        return Err(LoadError::Template {
            place: source.name.clone(),
        });
    }
    set.policies()
        .enumerate()
        .map(|(index, policy)| known(policy, index, &file, source, options))
        .collect()
}

fn known(
    policy: &Policy,
    index: usize,
    file: &Arc<str>,
    source: &Source,
    options: &Options,
) -> Result<Known, LoadError> {
    let id = match annotations::value(policy, "id") {
        Some(id) => Arc::from(id),
        None => Arc::from(format!("policy{index}@{file}")),
    };
    annotations::check(policy, &id, source, options)?;
    references::check(policy, &id, source, options)?;
    let approve = annotations::approve(policy, &id, source, options)?;
    let place: Arc<str> = Arc::from(place::of_policy(source, policy));
    // Of a policy that came as text, Cedar would parse the text once more for this.
    let json = Policy::from(policy.as_ref().clone())
        .to_json()
        .map_err(|error| LoadError::Internal(error.to_string()))?;
    let reads = Reads::of(&json).map_err(|unreadable| load_error(unreadable, &place, &id))?;
    let policy = policy.new_id(PolicyId::new(&*id));
    Ok(Known {
        rule: Rule::of(&policy),
        policy,
        id,
        file: Arc::clone(file),
        place,
        number: 0,
        reads,
        approve,
    })
}

/// What all policies read together; types must agree between them.
pub fn joined_reads(policies: &[Arc<Known>]) -> Result<Reads, LoadError> {
    let mut reads = Reads::default();
    for known in policies {
        reads
            .join(&known.reads)
            .map_err(|unreadable| load_error(unreadable, &known.place, &known.id))?;
    }
    Ok(reads)
}

fn load_error(unreadable: Unreadable, place: &str, policy: &str) -> LoadError {
    let (place, policy) = (place.to_owned(), policy.to_owned());
    match unreadable {
        Unreadable::Whole(expression) => LoadError::WholeRecord {
            place,
            policy,
            expression,
        },
        Unreadable::Conflict(conflict) => LoadError::TypeConflict {
            place,
            policy,
            argument: conflict.argument,
            first: conflict.first,
            second: conflict.second,
        },
    }
}

/// Validates strictly against `schema`; the first problem is reported at its place.
pub fn validate(
    policies: &[Arc<Known>],
    sources: &[Source],
    schema: Schema,
) -> Result<(), LoadError> {
    let set = PolicySet::from_policies(policies.iter().map(|known| known.policy.clone()))
        .map_err(|error| LoadError::Internal(error.to_string()))?;
    let result = Validator::new(schema).validate(&set, ValidationMode::Strict);
    if let Some(error) = result.validation_errors().next() {
        return Err(invalid(policies, sources, error.policy_id(), error));
    }
    let mut warnings = result.validation_warnings();
    match warnings.find(|warning| is_misleading(warning)) {
        Some(warning) => Err(invalid(policies, sources, warning.policy_id(), warning)),
        None => Ok(()),
    }
}

/// Whether a policy can never apply, or is shown otherwise than it is read. Mixed and unusual scripts
/// are left alone: names of agents and texts of arguments have them.
fn is_misleading(warning: &ValidationWarning) -> bool {
    use ValidationWarning as Warning;
    matches!(
        warning,
        Warning::ImpossiblePolicy(_)
            | Warning::InvalidActionApplication(_)
            | Warning::BidiCharsInString(_)
            | Warning::BidiCharsInIdentifier(_)
    )
}

fn invalid(
    policies: &[Arc<Known>],
    sources: &[Source],
    policy: &PolicyId,
    error: &(impl Diagnostic + 'static),
) -> LoadError {
    let id: &str = policy.as_ref();
    let known = policies.iter().find(|known| &*known.id == id);
    let source = known.and_then(|known| sources.iter().find(|source| source.name == *known.file));
    let place = source.and_then(|source| place::of_error(source, error));
    LoadError::Invalid {
        place: place
            .or_else(|| known.map(|known| known.place.to_string()))
            .unwrap_or_default(),
        message: with_help(error),
    }
}

fn with_help(error: &(impl Diagnostic + ?Sized)) -> String {
    match error.help() {
        Some(help) => format!("{error}; {help}"),
        None => error.to_string(),
    }
}

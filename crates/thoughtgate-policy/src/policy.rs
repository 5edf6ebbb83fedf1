//! Loading of policies: parsing, checks, validation, and the facts about each policy that decisions
//! need.
//!
//! Evaluates nothing.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use cedar_policy::{
    Effect, Policy, PolicyId, PolicySet, Schema, ValidationMode, ValidationWarning, Validator,
};
use miette::Diagnostic;

use crate::advice;
use crate::annotations::{self, Approve};
use crate::declared;
use crate::depth;
use crate::error::{LoadError, TypeConflict};
use crate::fault::EvaluationFault;
use crate::infer::{self, Unreadable};
use crate::kinds;
use crate::literals::{self, Literal};
use crate::options::{Options, Source};
use crate::place;
use crate::read_claims::ReadClaims;
use crate::reads::Reads;
use crate::references;
use crate::rule::Rule;
use crate::schema;
use crate::syntax;
use crate::types::paths;
use crate::unsatisfiable;

/// A loaded policy.
#[derive(Debug)]
pub struct LoadedPolicy {
    /// Cedar's form, with `id` as its id.
    pub policy: Policy,
    /// Scope and condition, ready for evaluation.
    pub rule: Rule,
    /// The `@id`, or `policyN@file`.
    pub id: Arc<str>,
    pub file: Arc<str>,
    /// `file:line:column`.
    pub place: Arc<str>,
    /// Position among all policies of all files, from 0.
    pub number: u32,
    /// The arguments it reads of a call, and whether it reads the time.
    pub reads: Reads,
    /// The texts that it compares with names, URIs and arguments.
    pub literals: Vec<Literal>,
    /// The declared claims of the agent that it may read.
    pub claims: BTreeSet<String>,
    pub approve: Option<Approve>,
}

impl LoadedPolicy {
    pub fn effect(&self) -> Effect {
        self.policy.effect()
    }

    /// The message for a failed evaluation. It names the arguments that the policy reads and quotes
    /// nothing of the call.
    pub fn error(&self, fault: EvaluationFault) -> String {
        let id = &self.id;
        let read = paths(&self.reads.arguments);
        if read.is_empty() {
            return format!("error while evaluating policy `{id}`: {fault}");
        }
        let read = read.join("`, `");
        format!("error while evaluating policy `{id}`, which reads `{read}`: {fault}")
    }
}

/// The file name of the baseline in messages.
pub const BASELINE_FILE: &str = "thoughtgate:baseline";

/// Parses all sources, the baseline first, so that a policy cannot take its id. All mistakes are added to
/// `errors`; policies that can still be validated are returned.
pub fn parse_all(
    sources: &[Source],
    options: &Options,
    errors: &mut Vec<LoadError>,
) -> Vec<Arc<LoadedPolicy>> {
    let baseline = Source {
        name: BASELINE_FILE.to_owned(),
        text: schema::BASELINE.to_owned(),
    };
    let mut ids = HashSet::new();
    let mut all = Vec::new();
    for source in std::iter::once(&baseline).chain(sources) {
        for mut loaded in parse(source, options, errors) {
            loaded.number = u32::try_from(all.len()).unwrap_or(u32::MAX);
            if !ids.insert(Arc::clone(&loaded.id)) {
                errors.push(LoadError::DuplicateId {
                    place: loaded.place.to_string(),
                    policy: loaded.id.to_string(),
                });
                continue;
            }
            all.push(Arc::new(loaded));
        }
    }
    all
}

fn parse(source: &Source, options: &Options, errors: &mut Vec<LoadError>) -> Vec<LoadedPolicy> {
    // Before Cedar parses the text, since its parser recurses.
    if let Err(error) = depth::check(source) {
        errors.push(error);
        return Vec::new();
    }
    let file: Arc<str> = Arc::from(source.name.as_str());
    let set = syntax::parse(source, errors);
    // Nothing links templates, so one would never apply.
    if set.num_of_templates() > 0 {
        errors.push(LoadError::Template {
            place: source.name.clone(),
        });
    }
    let policies = set.policies().enumerate();
    policies
        .filter_map(|(index, policy)| load(policy, index, &file, source, options, errors))
        .collect()
}

/// The policy, unless nothing further can be said of it. All its mistakes so far are added to `errors`.
fn load(
    policy: &Policy,
    index: usize,
    file: &Arc<str>,
    source: &Source,
    options: &Options,
    errors: &mut Vec<LoadError>,
) -> Option<LoadedPolicy> {
    let id = match annotations::value(policy, "id") {
        Some(id) => Arc::from(id),
        None => Arc::from(format!("policy{index}@{file}")),
    };
    annotations::check(policy, &id, source, options, errors);
    references::check(policy, &id, source, options, errors);
    let approve = annotations::approve(policy, &id, source, options);
    let approve = approve.unwrap_or_else(|error| {
        errors.push(error);
        None
    });
    let place: Arc<str> = Arc::from(place::of_policy(source, policy));
    // Without its text: from a policy with text, Cedar would make JSON by parsing the text again.
    let json = Policy::from(policy.as_ref().clone()).to_json();
    let json = match json {
        Ok(json) => json,
        Err(error) => {
            errors.push(LoadError::Internal(error.into()));
            return None;
        }
    };
    let literals = literals::of(&json);
    literals::check(&literals, policy, &id, source, errors);
    errors.extend(unsatisfiable::check(&json, &place, &id));
    // Cedar's message would be that the policy can never apply, or none.
    if !kinds::check(&json, policy, &id, source, errors) {
        return None;
    }
    let reads = match infer::reads(&json) {
        Ok(reads) => reads,
        Err(unreadable) => {
            errors.push(load_error(unreadable, source, policy, &id));
            return None;
        }
    };
    let claims = ReadClaims::of(&json, &options.claims);
    // Cedar's message would be that the policy can never apply.
    if let Some(path) = claims.undeclared {
        errors.push(LoadError::Claim {
            place: place.to_string(),
            policy: id.to_string(),
            help: declared::help(&path),
            claim: path.into_iter().next().unwrap_or_default(),
        });
        return None;
    }
    // The ids that Cedar gives are unique in one file only.
    let policy = policy.new_id(PolicyId::new(&*id));
    Some(LoadedPolicy {
        rule: Rule::of(&policy),
        policy,
        id,
        file: Arc::clone(file),
        place,
        // Set by `parse_all`, which counts across files.
        number: 0,
        reads,
        literals,
        claims: claims.declared,
        approve,
    })
}

fn load_error(unreadable: Unreadable, source: &Source, policy: &Policy, id: &str) -> LoadError {
    let place = place::of_policy(source, policy);
    match unreadable {
        Unreadable::Whole(expression) => LoadError::WholeRecord {
            place,
            policy: id.to_owned(),
            expression,
        },
        Unreadable::Mixed {
            conflict,
            first,
            second,
        } => {
            let use_of = |number: Option<usize>| {
                number
                    .and_then(|number| {
                        place::of_argument(source, policy, &conflict.argument, number)
                    })
                    .unwrap_or_else(|| place.clone())
            };
            LoadError::TypeConflict(Box::new(TypeConflict {
                place: use_of(second),
                policy: id.to_owned(),
                used_as: conflict.second,
                other: None,
                shared: "",
                other_place: use_of(first),
                other_used_as: conflict.first,
                argument: conflict.argument,
            }))
        }
        Unreadable::Constructed {
            extension,
            argument,
        } => LoadError::Constructed {
            place: place::of_argument(source, policy, &argument, 0).unwrap_or(place),
            policy: id.to_owned(),
            function: extension.constructor(),
            instead: extension.instead(&format!("context.arguments.{argument}")),
            argument,
        },
    }
}

/// Validates in Cedar's strict mode against `schema`; adds all errors, and the warnings that make a policy
/// misleading, to `errors`.
pub fn validate(
    policies: &[Arc<LoadedPolicy>],
    sources: &[Source],
    schema: Schema,
    errors: &mut Vec<LoadError>,
) {
    let all = policies.iter().map(|loaded| loaded.policy.clone());
    let set = match PolicySet::from_policies(all) {
        Ok(set) => set,
        Err(error) => return errors.push(LoadError::Internal(error.into())),
    };
    let result = Validator::new(schema).validate(&set, ValidationMode::Strict);
    let mut wrong = HashSet::new();
    for error in result.validation_errors() {
        wrong.insert(error.policy_id());
        errors.push(invalid(policies, sources, error.policy_id(), error));
    }
    for warning in result.validation_warnings() {
        // What is wrong may well be impossible, too.
        if is_misleading(warning) && !wrong.contains(warning.policy_id()) {
            errors.push(invalid(policies, sources, warning.policy_id(), warning));
        }
    }
}

/// Whether a policy can never apply, or displays differently than it is evaluated. Warnings about mixed
/// scripts are ignored: names of agents and strings in arguments may have them.
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
    policies: &[Arc<LoadedPolicy>],
    sources: &[Source],
    policy: &PolicyId,
    error: &(impl Diagnostic + 'static),
) -> LoadError {
    let id: &str = policy.as_ref();
    let loaded = policies.iter().find(|loaded| &*loaded.id == id);
    let source =
        loaded.and_then(|loaded| sources.iter().find(|source| source.name == *loaded.file));
    let offset = place::offset_of(error);
    let place = source.map(|source| match offset {
        Some(_) => place::at(source, offset),
        None => source.name.clone(),
    });
    let text = source.map_or("", |source| &source.text);
    LoadError::Invalid {
        place: place.filter(|_| offset.is_some()).unwrap_or_else(|| {
            loaded
                .map(|loaded| loaded.place.to_string())
                .unwrap_or_default()
        }),
        message: advice::message(error, text, offset),
    }
}

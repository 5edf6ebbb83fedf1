//! One policy as it was read: its id, what it reads of a call, and whether it asks for approval.

use std::collections::HashSet;
use std::sync::Arc;

use cedar_policy::{Effect, Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator};
use miette::Diagnostic;

use crate::engine::Source;
use crate::error::LoadError;
use crate::reads::{Reads, Unreadable};
use crate::rule::Rule;
use crate::schema;

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
}

/// What `@approve` asks for.
#[derive(Debug, Clone)]
pub struct Approve {
    /// The channel it names, if it names one.
    pub channel: Option<Arc<str>>,
}

/// The file name under which the baseline's policies are reported.
pub const BASELINE_FILE: &str = "thoughtgate:baseline";

/// Parses all sources, the baseline first.
pub fn parse_all(sources: &[Source], approvals: bool) -> Result<Vec<Arc<Known>>, LoadError> {
    let baseline = Source {
        name: BASELINE_FILE.to_owned(),
        text: schema::BASELINE.to_owned(),
    };
    let mut ids = HashSet::new();
    let mut all = Vec::new();
    for source in std::iter::once(&baseline).chain(sources) {
        for known in parse(source, approvals)? {
            if !ids.insert(Arc::clone(&known.id)) {
                return Err(LoadError::DuplicateId {
                    file: source.name.clone(),
                    policy: known.id.to_string(),
                });
            }
            all.push(Arc::new(known));
        }
    }
    Ok(all)
}

fn parse(source: &Source, approvals: bool) -> Result<Vec<Known>, LoadError> {
    let file: Arc<str> = Arc::from(source.name.as_str());
    let set: PolicySet = source
        .text
        .parse()
        .map_err(|error: cedar_policy::ParseErrors| LoadError::Parse {
            place: place(&source.name, &source.text, &error),
            message: with_help(&error),
        })?;
    if set.num_of_templates() > 0 {
        return Err(LoadError::Template {
            file: source.name.clone(),
        });
    }
    set.policies()
        .enumerate()
        .map(|(index, policy)| known(policy, index, &file, approvals))
        .collect()
}

fn known(
    policy: &Policy,
    index: usize,
    file: &Arc<str>,
    approvals: bool,
) -> Result<Known, LoadError> {
    let id = match policy.annotation("id") {
        Some(id) => Arc::from(id),
        None => Arc::from(format!("policy{index}@{file}")),
    };
    let approve = policy.annotation("approve").map(|channel| Approve {
        channel: (!channel.is_empty()).then(|| Arc::from(channel)),
    });
    if approve.is_some() {
        let (file, policy_id) = (file.to_string(), String::from(&*id));
        if policy.effect() == Effect::Forbid {
            return Err(LoadError::ApproveOnForbid {
                file,
                policy: policy_id,
            });
        }
        if !approvals {
            return Err(LoadError::NoApprovalChannel {
                file,
                policy: policy_id,
            });
        }
    }
    // Of a policy that came as text, Cedar would parse the text once more for this.
    let json = Policy::from(policy.as_ref().clone())
        .to_json()
        .map_err(|error| LoadError::Internal(error.to_string()))?;
    let reads = Reads::of(&json).map_err(|unreadable| load_error(unreadable, file, &id))?;
    let policy = policy.new_id(PolicyId::new(&*id));
    Ok(Known {
        rule: Rule::of(&policy),
        policy,
        id,
        file: Arc::clone(file),
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
            .map_err(|unreadable| load_error(unreadable, &known.file, &known.id))?;
    }
    Ok(reads)
}

fn load_error(unreadable: Unreadable, file: &str, policy: &str) -> LoadError {
    let (file, policy) = (file.to_owned(), policy.to_owned());
    match unreadable {
        Unreadable::Whole(expression) => LoadError::WholeRecord {
            file,
            policy,
            expression,
        },
        Unreadable::Conflict {
            argument,
            first,
            second,
        } => LoadError::TypeConflict {
            file,
            policy,
            argument,
            first,
            second,
        },
    }
}

/// Validates strictly against `schema`; the first error is reported at its place.
pub fn validate(
    policies: &[Arc<Known>],
    sources: &[Source],
    schema: Schema,
) -> Result<(), LoadError> {
    let set = PolicySet::from_policies(policies.iter().map(|known| known.policy.clone()))
        .map_err(|error| LoadError::Internal(error.to_string()))?;
    let result = Validator::new(schema).validate(&set, ValidationMode::Strict);
    let Some(error) = result.validation_errors().next() else {
        return Ok(());
    };
    let id: &str = error.policy_id().as_ref();
    let file = policies
        .iter()
        .find(|known| &*known.id == id)
        .map_or("", |known| &*known.file);
    let text = sources
        .iter()
        .find(|source| source.name == file)
        .map_or("", |source| source.text.as_str());
    Err(LoadError::Invalid {
        place: place(file, text, error),
        message: with_help(error),
    })
}

/// `file:line:column` of the first label of `error`, as far as it has one.
fn place(file: &str, text: &str, error: &dyn Diagnostic) -> String {
    let offset = error
        .labels()
        .and_then(|mut labels| labels.next())
        .map(|label| label.offset());
    let Some(before) = offset.and_then(|offset| text.get(..offset)) else {
        return file.to_owned();
    };
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .map_or(0, |rest| rest.chars().count())
        + 1;
    format!("{file}:{line}:{column}")
}

fn with_help(error: &(impl Diagnostic + ?Sized)) -> String {
    match error.help() {
        Some(help) => format!("{error}; {help}"),
        None => error.to_string(),
    }
}

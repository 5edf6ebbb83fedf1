//! All reasons for not accepting a set of policies, in the order of its files.
//!
//! The single reasons are in `error.rs`.

use std::collections::HashSet;
use std::error::Error;
use std::fmt;

use crate::error::LoadError;
use crate::merged::merged;
use crate::options::Source;

/// All reasons why a set of policies was refused, at least one, in the order of the files.
#[derive(Debug)]
pub struct LoadErrors(Vec<LoadError>);

impl LoadErrors {
    /// `errors` in the order of their places in `sources`, each once.
    pub(crate) fn new(mut errors: Vec<LoadError>, sources: &[Source]) -> LoadErrors {
        let file = |place: &str| {
            let mut names = sources.iter().map(|source| source.name.as_str());
            names.position(|name| {
                place
                    .strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with(':'))
            })
        };
        errors.sort_by_cached_key(|error| {
            let place = error.place();
            let numbers = place
                .rsplitn(3, ':')
                .filter_map(|part| part.parse::<usize>().ok());
            let mut numbers: Vec<usize> = numbers.collect();
            numbers.reverse();
            // The validator's order changes from run to run.
            (file(place), numbers, error.to_string())
        });
        // The validator repeats an error for each kind of request that it holds for.
        let mut seen = HashSet::new();
        errors.retain(|error| seen.insert(error.to_string()));
        LoadErrors(merged(errors))
    }

    /// The reasons.
    #[must_use]
    pub fn all(&self) -> &[LoadError] {
        &self.0
    }
}

impl From<LoadError> for LoadErrors {
    fn from(error: LoadError) -> LoadErrors {
        LoadErrors(vec![error])
    }
}

impl fmt::Display for LoadErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        formatter.write_str(&all.join("; also: "))
    }
}

impl Error for LoadErrors {}

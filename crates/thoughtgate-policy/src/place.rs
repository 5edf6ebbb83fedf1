//! Positions in policy files, as errors print them.

use cedar_policy::Policy;
use miette::Diagnostic;

use crate::options::Source;

/// `file:line:column` of a byte offset, counted from 1; the file alone if there is no offset.
pub fn at(source: &Source, offset: Option<usize>) -> String {
    let Some(before) = offset.and_then(|offset| source.text.get(..offset)) else {
        return source.name.clone();
    };
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .map_or(0, |rest| rest.chars().count())
        + 1;
    format!("{}:{line}:{column}", source.name)
}

/// The place of the first label of `error`, if it has one.
pub fn of_error(source: &Source, error: &dyn Diagnostic) -> Option<String> {
    let label = error.labels().and_then(|mut labels| labels.next())?;
    Some(at(source, Some(label.offset())))
}

/// The place of a policy's first character, its annotations included.
pub fn of_policy(source: &Source, policy: &Policy) -> String {
    at(source, policy.as_ref().loc().map(|loc| loc.span.offset()))
}

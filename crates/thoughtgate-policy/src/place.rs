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

/// The place of the use with this number, from 0 and in source order, of the argument with this path
/// below `context.arguments`. `None` if the text does not have it in a usual form.
pub fn of_argument(source: &Source, policy: &Policy, path: &str, number: usize) -> Option<String> {
    let wanted = format!("context.arguments.{path}");
    let condition = policy.as_ref().non_scope_constraints()?;
    let mut offsets: Vec<usize> = condition
        .subexpressions()
        .filter_map(|expression| {
            let span = expression.source_loc()?.span;
            let text = source.text.get(span.offset()..)?.get(..span.len())?;
            (plain(text) == wanted).then_some(span.offset())
        })
        .collect();
    offsets.sort_unstable();
    offsets.dedup();
    Some(at(source, Some(*offsets.get(number)?)))
}

/// A path of attributes with dots alone: `a["b"]` as `a.b`.
fn plain(text: &str) -> String {
    text.replace("[\"", ".")
        .replace("\"]", "")
        .split_whitespace()
        .collect()
}

/// The place of a policy's first character, its annotations included.
pub fn of_policy(source: &Source, policy: &Policy) -> String {
    at(source, policy.as_ref().loc().map(|loc| loc.span.offset()))
}

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

/// `file:line:column` of a byte offset in the text that `policy` was parsed from.
pub fn in_policy(policy: &Policy, file: &str, offset: usize) -> Option<String> {
    let source = Source {
        name: file.to_owned(),
        text: policy.as_ref().loc()?.src.to_string(),
    };
    Some(at(&source, Some(offset)))
}

/// The offset of the first label of `error`, if it has one.
pub fn offset_of(error: &(impl Diagnostic + ?Sized)) -> Option<usize> {
    let label = error.labels().and_then(|mut labels| labels.next())?;
    Some(label.offset())
}

/// The place of the use with this number, from 0 and in source order, of the argument with this path
/// below `context.arguments`. `None` if the text does not have it in a usual form.
pub fn of_argument(source: &Source, policy: &Policy, path: &str, number: usize) -> Option<String> {
    let path = format!("context.arguments.{path}");
    let condition = policy.as_ref().non_scope_constraints()?;
    // Cedar gives `a` in `a.b` the span of the whole, so beginnings are compared.
    let mut offsets: Vec<usize> = condition
        .subexpressions()
        .filter_map(|expression| Some(expression.source_loc()?.span.offset()))
        .filter(|offset| {
            let text = source.text.get(*offset..);
            text.is_some_and(|text| begins_with(text, &path))
        })
        .collect();
    offsets.sort_unstable();
    offsets.dedup();
    Some(at(source, Some(*offsets.get(number)?)))
}

/// Whether `text` begins with this path of attributes, each written as `.name` or `["name"]`.
fn begins_with(text: &str, path: &str) -> bool {
    let mut rest = text.chars();
    plain(path.chars()).all(|letter| plain(rest.by_ref()).next() == Some(letter))
        && !rest
            .next()
            .is_some_and(|next| next.is_alphanumeric() || next == '_')
}

/// The letters of a path with `["name"]` as `.name`, and without white space.
fn plain(path: impl Iterator<Item = char>) -> impl Iterator<Item = char> {
    path.filter_map(|letter| match letter {
        '[' => Some('.'),
        ']' | '"' => None,
        letter => (!letter.is_whitespace()).then_some(letter),
    })
}

/// The place of a string literal that begins with `text`; of the policy, if `text` is written otherwise.
pub fn of_text(source: &Source, policy: &Policy, text: &str) -> String {
    let offset = policy.as_ref().loc().and_then(|loc| {
        let start = loc.span.offset();
        let written = source.text.get(start..start + loc.span.len())?;
        Some(start + written.find(&format!("\"{text}"))?)
    });
    match offset {
        Some(_) => at(source, offset),
        None => of_policy(source, policy),
    }
}

/// The place of a policy's first character, its annotations included.
pub fn of_policy(source: &Source, policy: &Policy) -> String {
    at(source, policy.as_ref().loc().map(|loc| loc.span.offset()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_however_they_are_written() {
        let path = "context.arguments.a.b";
        for text in [
            "context.arguments.a.b",
            "context.arguments.a.b like \"x\"",
            "context.arguments[\"a\"][\"b\"].contains(1)",
            "context .arguments\n  .a.b.c",
        ] {
            assert!(begins_with(text, path), "{text}");
        }
        for text in ["context.arguments.a", "context.arguments.a.bc", "x", ""] {
            assert!(!begins_with(text, path), "{text}");
        }
    }
}

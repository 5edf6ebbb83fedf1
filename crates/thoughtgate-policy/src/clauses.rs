//! The parts of a policy's condition that have to hold together, each with its text, so that an
//! explanation can name the one that did not.
//!
//! Splits only at `&&` and between clauses; Cedar evaluates the parts. Decisions do not use this.

use cedar_policy::{Entities, Policy, Request};
use cedar_policy_core::ast::{Expr, ExprKind, UnaryOp};

use crate::rule::truth;

/// The part of a condition that kept a policy from applying.
pub struct Obstacle {
    /// The part as the file has it, with `when` or `unless` if it is one of several.
    pub text: Option<String>,
    /// Byte offset of the part in its file.
    pub offset: Option<usize>,
}

/// The first part of the condition of `policy` that is not true; `None` if all are.
pub fn obstacle(policy: &Policy, request: &Request, entities: &Entities) -> Option<Obstacle> {
    let mut parts = Vec::new();
    split(policy.as_ref().non_scope_constraints()?, &mut parts);
    parts.into_iter().find_map(|part| {
        if truth(request, entities, &part.clone().into()) == Ok(true) {
            return None;
        }
        let (word, shown) = match part.expr_kind() {
            // A clause `unless { x }` is the negation of `x`, and so is `!x`, and `a > b` that of `a <= b`.
            ExprKind::UnaryApp {
                op: UnaryOp::Not,
                arg,
            } if begins_unless(arg) => ("unless", &**arg),
            _ => ("when", part),
        };
        Some(Obstacle {
            text: text(shown).map(|text| format!("{word} {{ {text} }}")),
            offset: shown.source_loc().map(|loc| loc.span.offset()),
        })
    })
}

/// The operands of a conjunction, in the order of their evaluation.
fn split<'e>(expression: &'e Expr, parts: &mut Vec<&'e Expr>) {
    match expression.expr_kind() {
        ExprKind::And { left, right } => {
            split(left, parts);
            split(right, parts);
        }
        _ => parts.push(expression),
    }
}

/// Whether `expression` is the whole of a clause `unless { … }`, by the text before it.
fn begins_unless(expression: &Expr) -> bool {
    let before = expression
        .source_loc()
        .and_then(|loc| loc.src.get(..loc.span.offset()));
    let before = before.unwrap_or_default();
    let clause = before.trim_end_matches(|end: char| end == '(' || end.is_whitespace());
    let clause = clause.strip_suffix('{').unwrap_or_default();
    clause.trim_end().ends_with("unless")
}

/// The text of an expression, with its white space in one form.
fn text(expression: &Expr) -> Option<String> {
    let words = expression.source_loc()?.snippet()?.split_whitespace();
    Some(words.collect::<Vec<_>>().join(" "))
}

//! Finds policies that no request can meet, since comparisons that must hold together exclude each other:
//! those of one agent, resource, claim, argument or time with literals.
//!
//! Ignores groups, whose members change, and comparisons of two values of a request. Cedar's validator finds
//! what types alone exclude.

mod value;

use std::collections::BTreeMap;

use cedar_policy_core::ast::Pattern;
use serde_json::Value;

use self::value::{Literal, Name, TIME, entity, is_single, literal, name, pattern, variable};
use crate::error::LoadError;
use crate::milliseconds::DAY_MS;

/// The error for a policy in its JSON form that no request can meet, with its place and its id.
pub fn check(policy: &Value, place: &str, id: &str) -> Option<LoadError> {
    let subject = contradiction(policy)?;
    Some(LoadError::Impossible {
        place: place.to_owned(),
        policy: id.to_owned(),
        help: help(&subject),
        subject,
    })
}

/// The expression that no value makes meet all comparisons, as policies write it.
fn contradiction(policy: &Value) -> Option<String> {
    let mut comparisons = Comparisons::default();
    for name in ["principal", "resource"] {
        let scope = &policy[name];
        if let Some(entity) = entity(&scope["entity"]).filter(|_| scope["op"] == "==") {
            comparisons.subject(variable(name)).keep(vec![entity]);
        }
    }
    for condition in policy["conditions"].as_array().into_iter().flatten() {
        comparisons.add(&condition["body"], condition["kind"] == "when");
    }
    comparisons.contradiction()
}

/// Advice for the author of comparisons of this expression.
fn help(subject: &str) -> &'static str {
    if subject == TIME {
        "a time of day is at least `duration(\"0h\")` and less than `duration(\"24h\")`, and a span over midnight is written with `||`"
    } else {
        "write alternatives with `||`, or as several policies"
    }
}

/// The comparisons that must hold together.
#[derive(Default, Clone)]
struct Comparisons<'p> {
    /// By the JSON of the expression that is tested.
    subjects: BTreeMap<String, Subject>,
    /// Comparisons of which one must hold, each with whether it is negated in the policy.
    choices: Vec<(&'p Value, bool)>,
}

/// The comparisons of one expression.
#[derive(Clone)]
struct Subject {
    shown: String,
    /// The only values that it may have, if comparisons name some.
    only: Option<Vec<Literal>>,
    not: Vec<Literal>,
    /// Patterns, each with whether it must match.
    patterns: Vec<(Pattern, bool)>,
    least: i128,
    most: i128,
}

impl<'p> Comparisons<'p> {
    /// Adds the comparisons of `expression`, which must be true or, if not `holds`, false.
    fn add(&mut self, expression: &'p Value, holds: bool) {
        let Some((operator, operands)) = operator(expression) else {
            return;
        };
        match operator {
            "&&" | "||" if (operator == "&&") == holds => {
                self.add(&operands["left"], holds);
                self.add(&operands["right"], holds);
            }
            "&&" | "||" => self.choices.push((expression, holds)),
            "!" => self.add(&operands["arg"], !holds),
            _ => {
                self.compare(operator, operands, holds);
                if let Some(name) = name(expression) {
                    self.subject(name).keep(vec![Literal::Bool(holds)]);
                }
            }
        }
    }

    /// Adds one comparison.
    fn compare(&mut self, operator: &str, operands: &Value, holds: bool) {
        let (left, right) = (&operands["left"], &operands["right"]);
        let (tested, other, operator) = match (operator, name(left)) {
            ("contains", _) => (name(right), left, operator),
            (_, Some(tested)) => (Some(tested), right, operator),
            ("==" | "!=" | "<" | "<=" | ">" | ">=", None) => {
                (name(right), left, mirrored(operator))
            }
            _ => return,
        };
        let Some(tested) = tested else {
            return;
        };
        match operator {
            "==" | "!=" | "contains" | "in" => {
                let listed = match other["Set"].as_array() {
                    Some(items) if matches!(operator, "contains" | "in") => {
                        items.iter().map(literal).collect()
                    }
                    _ if operator == "contains" => None,
                    _ => literal(other).map(|literal| vec![literal]),
                };
                // The members of a group are not literals.
                let listed =
                    listed.filter(|literals| operator != "in" || literals.iter().all(is_single));
                match listed {
                    Some(literals) if holds != (operator == "!=") => {
                        self.subject(tested).keep(literals);
                    }
                    Some(literals) => self.subject(tested).not.extend(literals),
                    None => {}
                }
            }
            "like" => {
                let pattern = pattern(&operands["pattern"]);
                self.subject(tested).patterns.push((pattern, holds));
            }
            _ => {
                if let Some(Literal::Number(bound)) = literal(other) {
                    self.subject(tested).bound(operator, bound, holds);
                }
            }
        }
    }

    fn subject(&mut self, (key, shown): Name) -> &mut Subject {
        self.subjects.entry(key).or_insert_with(|| Subject {
            most: if shown == TIME { DAY_MS - 1 } else { i128::MAX },
            least: if shown == TIME { 0 } else { i128::MIN },
            shown,
            only: None,
            not: Vec::new(),
            patterns: Vec::new(),
        })
    }

    /// The expression that no value makes meet them all, as policies write it; `None` if none is found.
    fn contradiction(&self) -> Option<String> {
        let mut subjects = self.subjects.values();
        if let Some(found) = subjects.find(|subject| subject.is_impossible()) {
            return Some(found.shown.clone());
        }
        let alone = Comparisons {
            choices: Vec::new(),
            ..self.clone()
        };
        self.choices.iter().find_map(|(choice, holds)| {
            let mut excluded = None;
            alone
                .excludes(choice, *holds, &mut excluded)
                .then_some(excluded)?
        })
    }

    /// Whether each alternative of `choice` contradicts these comparisons; `excluded` gets the expression of one.
    fn excludes(&self, choice: &'p Value, holds: bool, excluded: &mut Option<String>) -> bool {
        match operator(choice) {
            Some((operator @ ("&&" | "||"), operands)) if (operator == "||") == holds => {
                ["left", "right"]
                    .iter()
                    .all(|side| self.excludes(&operands[side], holds, excluded))
            }
            _ => {
                let mut comparisons = self.clone();
                comparisons.add(choice, holds);
                let mut subjects = comparisons.subjects.values();
                let found = subjects.find(|subject| subject.is_impossible());
                if let Some(subject) = found {
                    *excluded = Some(subject.shown.clone());
                }
                found.is_some()
            }
        }
    }
}

impl Subject {
    /// Adds that it is one of `literals`.
    fn keep(&mut self, literals: Vec<Literal>) {
        self.only = Some(match self.only.take() {
            None => literals,
            Some(mut only) => {
                only.retain(|literal| literals.iter().any(|other| literal.is_same(other)));
                only
            }
        });
    }

    /// Adds a comparison of order with `bound`.
    fn bound(&mut self, operator: &str, bound: i128, holds: bool) {
        match (operator, holds) {
            ("<", true) | (">=", false) => self.most = self.most.min(bound - 1),
            ("<=", true) | (">", false) => self.most = self.most.min(bound),
            (">", true) | ("<=", false) => self.least = self.least.max(bound + 1),
            (">=", true) | ("<", false) => self.least = self.least.max(bound),
            _ => {}
        }
    }

    fn is_impossible(&self) -> bool {
        let only = self.only.as_ref();
        self.least > self.most
            || only.is_some_and(|only| !only.iter().any(|literal| self.allows(literal)))
    }

    /// Whether `literal` meets all comparisons but those in `only`.
    fn allows(&self, literal: &Literal) -> bool {
        let is_in_bounds = match literal {
            Literal::Number(number) => (self.least..=self.most).contains(number),
            _ => true,
        };
        let matches = |(pattern, holds): &(Pattern, bool)| {
            let text = literal.text();
            text.is_none_or(|text| pattern.wildcard_match(text) == *holds)
        };
        is_in_bounds
            && !self.not.iter().any(|not| literal.is_always(not))
            && self.patterns.iter().all(matches)
    }
}

/// The operator of an expression, and its operands.
fn operator(expression: &Value) -> Option<(&str, &Value)> {
    let (operator, operands) = expression.as_object()?.iter().next()?;
    Some((operator, operands))
}

/// The operator with its operands exchanged.
fn mirrored(operator: &str) -> &str {
    match operator {
        "<" => ">",
        "<=" => ">=",
        ">" => "<",
        ">=" => "<=",
        other => other,
    }
}

//! Refuses comparisons of the principal or the resource with what it never is: `resource == ToolGroup::"g"`.
//!
//! Cedar takes them for false, and tells so only if the whole policy is false then: beside an `||`, or in
//! `unless`, a `forbid` would not apply, or a `permit` more often than it says. Follows direct comparisons only.

use cedar_policy::Policy;
use serde_json::Value;

use crate::advice::TYPES;
use crate::error::LoadError;
use crate::options::Source;
use crate::place;

/// A variable of requests, and the types of entities that it can be, or be in.
struct Variable {
    name: &'static str,
    is: &'static [&'static str],
    is_in: &'static [&'static str],
    /// The type of its groups.
    group: &'static str,
}

const VARIABLES: [Variable; 2] = [
    Variable {
        name: "principal",
        is: &["Agent"],
        is_in: &["Agent", "Group"],
        group: "Group",
    },
    Variable {
        name: "resource",
        is: &["Tool", "Prompt", "Resource", "Upstream"],
        is_in: &["Tool", "Prompt", "Resource", "Upstream", "ToolGroup"],
        group: "ToolGroup",
    },
];

/// A comparison that is never true.
struct Never<'p> {
    variable: &'static Variable,
    /// `==`, `!=`, `in` or `is`.
    operator: &'p str,
    kind: &'p str,
    /// The entity's id; `is` has none.
    id: Option<&'p str>,
}

/// Whether `policy`, `json` in its JSON form, has no such comparison; adds an error for each.
pub fn check(
    json: &Value,
    policy: &Policy,
    id: &str,
    source: &Source,
    errors: &mut Vec<LoadError>,
) -> bool {
    let mut found = Vec::new();
    for variable in &VARIABLES {
        scope(variable, &json[variable.name], &mut found);
    }
    conditions(&json["conditions"], &mut found);
    for never in &found {
        errors.push(LoadError::Reference {
            place: never.place(policy, source),
            policy: id.to_owned(),
            entity: never.shown(),
            problem: never.problem(),
        });
    }
    found.is_empty()
}

fn scope<'p>(variable: &'static Variable, constraint: &'p Value, found: &mut Vec<Never<'p>>) {
    let operator = constraint["op"].as_str().unwrap_or_default();
    if operator == "is" {
        found.extend(variable.never(operator, &constraint["entity_type"], None));
        let group = &constraint["in"]["entity"];
        found.extend(variable.never("in", &group["type"], group["id"].as_str()));
    } else {
        let entity = &constraint["entity"];
        found.extend(variable.never(operator, &entity["type"], entity["id"].as_str()));
    }
}

fn conditions<'p>(expression: &'p Value, found: &mut Vec<Never<'p>>) {
    match expression {
        Value::Array(items) => items.iter().for_each(|item| conditions(item, found)),
        Value::Object(fields) => {
            for (operator, operands) in fields {
                comparison(operator, operands, found);
                conditions(operands, found);
            }
        }
        _ => {}
    }
}

fn comparison<'p>(operator: &'p str, operands: &'p Value, found: &mut Vec<Never<'p>>) {
    let (left, right) = (&operands["left"], &operands["right"]);
    match operator {
        "==" | "!=" => {
            for (tested, other) in [(left, right), (right, left)] {
                entities(tested, operator, other, found);
            }
        }
        "in" => entities(left, operator, right, found),
        "is" => {
            if let Some(variable) = variable(left) {
                found.extend(variable.never(operator, &operands["entity_type"], None));
            }
            entities(left, "in", &operands["in"], found);
        }
        _ => {}
    }
}

/// Adds the comparisons of `tested` with the entity that `other` is, or those that it lists.
fn entities<'p>(tested: &Value, operator: &'p str, other: &'p Value, found: &mut Vec<Never<'p>>) {
    let Some(variable) = variable(tested) else {
        return;
    };
    let listed = other["Set"].as_array().into_iter().flatten();
    for entity in std::iter::once(other).chain(listed) {
        let entity = &entity["Value"]["__entity"];
        found.extend(variable.never(operator, &entity["type"], entity["id"].as_str()));
    }
}

fn variable(expression: &Value) -> Option<&'static Variable> {
    let name = expression["Var"].as_str()?;
    VARIABLES.iter().find(|variable| variable.name == name)
}

impl Variable {
    /// The comparison with an entity of the type `kind`, if it is never true. Cedar refuses unknown types.
    fn never<'p>(
        &'static self,
        operator: &'p str,
        kind: &'p Value,
        id: Option<&'p str>,
    ) -> Option<Never<'p>> {
        let kind = kind.as_str()?;
        let can_be = if operator == "in" {
            self.is_in
        } else {
            self.is
        };
        (TYPES.contains(&kind) && !can_be.contains(&kind)).then_some(Never {
            variable: self,
            operator,
            kind,
            id,
        })
    }
}

impl Never<'_> {
    fn shown(&self) -> String {
        match self.id {
            Some(id) => format!("{}::{id:?}", self.kind),
            None => self.kind.to_owned(),
        }
    }

    fn problem(&self) -> String {
        let Variable {
            name, is, group, ..
        } = self.variable;
        let types = is.join("`, `");
        let (relation, way_out) = match (self.operator, self.id) {
            ("in", _) => (
                "which has no such members",
                format!("groups of a {name} are `{group}`"),
            ),
            (_, Some(id)) if self.kind == *group => (
                "which is a group",
                format!("write `{name} in {group}::{id:?}`"),
            ),
            _ if self.kind == *group => (
                "which is a group",
                format!("write `{name} in {group}::\"…\"`"),
            ),
            _ => (
                "which is of another type",
                format!("a {name} is a `{types}`"),
            ),
        };
        format!(
            "{relation}, so that `{name} {} {}` is never true; {way_out}",
            self.as_equal(),
            self.shown()
        )
    }

    /// The operator of the comparison that is never true.
    fn as_equal(&self) -> &str {
        if self.operator == "!=" {
            "=="
        } else {
            self.operator
        }
    }

    fn place(&self, policy: &Policy, source: &Source) -> String {
        let entities = policy.entity_literals();
        let entity = entities.iter().find(|entity| {
            entity.type_name().to_string() == self.kind && Some(entity.id().unescaped()) == self.id
        });
        let offset = entity.and_then(|entity| entity.as_ref().loc().map(|loc| loc.span.offset()));
        match offset {
            Some(_) => place::at(source, offset),
            None => place::of_policy(source, policy),
        }
    }
}

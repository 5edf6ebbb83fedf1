//! A policy split into two parts that Cedar can evaluate separately: its scope and its condition.
//!
//! Cedar's authorizer joins them again for every policy at every request. This crate evaluates the
//! scope once for a principal, action and resource, and only the condition for each call. Cedar
//! evaluates both parts; nothing of its language is implemented in this crate.

use cedar_policy::{
    Entities, EvalResult, EvaluationError, Expression, Policy, Request, eval_expression,
};

/// The two parts of one policy.
#[derive(Debug, Clone)]
pub struct Rule {
    scope: [Expression; 3],
    condition: Option<Expression>,
}

impl Rule {
    /// Splits `policy`.
    pub fn of(policy: &Policy) -> Rule {
        // Cedar's syntax tree, which is public but not documented. If a release removes it, this does
        // not compile; printing and parsing a condition could change its meaning unnoticed.
        let tree = policy.as_ref();
        Rule {
            scope: [
                tree.action_constraint().as_expr().into(),
                tree.principal_constraint().as_expr().into(),
                tree.resource_constraint().as_expr().into(),
            ],
            condition: tree.non_scope_constraints().cloned().map(Expression::from),
        }
    }

    /// Whether the scope matches, for every call that has the principal, action and resource of
    /// `request`.
    pub fn applies(&self, request: &Request, entities: &Entities) -> Result<bool, &'static str> {
        for part in &self.scope {
            if !truth(request, entities, part)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether all of `when` and none of `unless` hold.
    pub fn holds(&self, request: &Request, entities: &Entities) -> Result<bool, &'static str> {
        match &self.condition {
            Some(condition) => truth(request, entities, condition),
            None => Ok(true),
        }
    }
}

fn truth(
    request: &Request,
    entities: &Entities,
    expression: &Expression,
) -> Result<bool, &'static str> {
    match eval_expression(request, entities, expression) {
        Ok(EvalResult::Bool(truth)) => Ok(truth),
        Ok(_) => Err("a condition is not a boolean"),
        Err(error) => Err(kind(&error)),
    }
}

/// A message for the kind of error. Cedar's own message is not used: it quotes values that the agent
/// sent.
fn kind(error: &EvaluationError) -> &'static str {
    use EvaluationError as Error;
    match error {
        Error::IntegerOverflow(_) => "a calculation overflows",
        Error::TypeError(_) => "a value has the wrong type",
        Error::RecordAttrDoesNotExist(_) | Error::EntityAttrDoesNotExist(_) => {
            "a condition reads an attribute that does not exist"
        }
        Error::EntityDoesNotExist(_) => "a condition reads an entity that does not exist",
        Error::FailedExtensionFunctionExecution(_) => {
            "an extension function was called with an invalid value"
        }
        Error::RecursionLimit(_) => "a condition is nested too deeply",
        _ => "a condition cannot be evaluated",
    }
}

//! A policy taken apart into what Cedar can evaluate by itself: its scope and its condition.
//!
//! Cedar's authorizer joins the two anew for every policy at every request. Here the scope is asked
//! once for a principal, action and resource, and only the condition with each call. Cedar evaluates
//! both; nothing of the language is repeated here.

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
    /// Takes `policy` apart.
    pub fn of(policy: &Policy) -> Rule {
        // Cedar's own tree, which it shows but does not document: a release without it will not
        // compile, where printing and parsing a condition could come to another meaning unnoticed.
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
        Ok(_) => Err("a condition is neither true nor false"),
        Err(error) => Err(kind(&error)),
    }
}

/// What went wrong. Cedar's own words quote the values, which are the agent's and no one else's.
fn kind(error: &EvaluationError) -> &'static str {
    use EvaluationError as Error;
    match error {
        Error::IntegerOverflow(_) => "a calculation overflows",
        Error::TypeError(_) => "a value has the wrong type",
        Error::RecordAttrDoesNotExist(_) | Error::EntityAttrDoesNotExist(_) => {
            "a value that is read is absent"
        }
        Error::EntityDoesNotExist(_) => "an entity that is asked about does not exist",
        Error::FailedExtensionFunctionExecution(_) => {
            "an extension function cannot work with its value"
        }
        Error::RecursionLimit(_) => "a condition is nested too deeply",
        _ => "a condition cannot be evaluated",
    }
}

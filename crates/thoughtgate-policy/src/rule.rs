//! A policy split into two parts that Cedar can evaluate separately: its scope and its condition.
//!
//! Cedar's authorizer joins them again for every policy at every request. This crate evaluates the
//! scope once for a principal, action and resource, and only the condition for each call. Cedar
//! evaluates both parts; nothing of its language is implemented in this crate.

use cedar_policy::{
    Entities, EvalResult, EvaluationError, Expression, Policy, Request, eval_expression,
};

use crate::fault::EvaluationFault;

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
    pub fn applies(&self, request: &Request, entities: &Entities) -> Result<bool, EvaluationFault> {
        for part in &self.scope {
            if !truth(request, entities, part)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether action, principal and resource match, each on its own. Not for the path of requests.
    pub fn matches(
        &self,
        request: &Request,
        entities: &Entities,
    ) -> Result<[bool; 3], EvaluationFault> {
        let [action, principal, resource] = &self.scope;
        Ok([
            truth(request, entities, action)?,
            truth(request, entities, principal)?,
            truth(request, entities, resource)?,
        ])
    }

    /// Whether all of `when` and none of `unless` hold.
    pub fn holds(&self, request: &Request, entities: &Entities) -> Result<bool, EvaluationFault> {
        match &self.condition {
            Some(condition) => truth(request, entities, condition),
            None => Ok(true),
        }
    }
}

/// The value of a boolean expression.
pub fn truth(
    request: &Request,
    entities: &Entities,
    expression: &Expression,
) -> Result<bool, EvaluationFault> {
    match eval_expression(request, entities, expression) {
        Ok(EvalResult::Bool(truth)) => Ok(truth),
        Ok(_) => Err(EvaluationFault::NotABoolean),
        Err(error) => Err(kind(&error)),
    }
}

fn kind(error: &EvaluationError) -> EvaluationFault {
    use EvaluationError as Error;
    match error {
        Error::IntegerOverflow(_) => EvaluationFault::Overflow,
        Error::TypeError(_) => EvaluationFault::Type,
        Error::RecordAttrDoesNotExist(_) | Error::EntityAttrDoesNotExist(_) => {
            EvaluationFault::Attribute
        }
        Error::EntityDoesNotExist(_) => EvaluationFault::Entity,
        Error::FailedExtensionFunctionExecution(_) => EvaluationFault::Extension,
        Error::RecursionLimit(_) => EvaluationFault::Depth,
        _ => EvaluationFault::Other,
    }
}

//! A policy taken apart into what Cedar can evaluate by itself: its scope and its condition.
//!
//! Cedar's authorizer joins the two anew for every policy at every request. Here the scope is asked
//! once for a principal, action and resource, and only the condition with each call. Cedar evaluates
//! both; nothing of the language is repeated here.

use cedar_policy::{Entities, EvalResult, Expression, Policy, Request, eval_expression};

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
    pub fn applies(&self, request: &Request, entities: &Entities) -> Result<bool, String> {
        for part in &self.scope {
            if !truth(request, entities, part)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether all of `when` and none of `unless` hold.
    pub fn holds(&self, request: &Request, entities: &Entities) -> Result<bool, String> {
        match &self.condition {
            Some(condition) => truth(request, entities, condition),
            None => Ok(true),
        }
    }
}

fn truth(request: &Request, entities: &Entities, expression: &Expression) -> Result<bool, String> {
    match eval_expression(request, entities, expression) {
        Ok(EvalResult::Bool(truth)) => Ok(truth),
        Ok(_) => Err("the condition is neither true nor false".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

//! The claims that a policy reads.
//!
//! Finds them in the form that Cedar gives a policy; knows no token.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::declared::Declared;

/// The claims that one policy reads.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ReadClaims {
    /// The declared ones that it may read.
    pub declared: BTreeSet<String>,
    /// Path of an attribute of `principal` whose first name is not declared.
    pub undeclared: Option<Vec<String>>,
}

impl ReadClaims {
    /// The claims that a policy reads; `policy` is its JSON form (Cedar's EST). Whatever has the name of a
    /// claim counts as one, unless it is read from `context` or `resource`, which contain no agent.
    pub fn of(policy: &Value, declared: &Declared) -> ReadClaims {
        let mut found = ReadClaims::default();
        found.collect(&policy["conditions"], declared);
        found
    }

    fn collect(&mut self, part: &Value, declared: &Declared) {
        match part {
            Value::Array(items) => items.iter().for_each(|item| self.collect(item, declared)),
            Value::Object(members) => {
                for (operator, operands) in members {
                    if matches!(operator.as_str(), "." | "has") {
                        self.attribute(operands, declared);
                    }
                    self.collect(operands, declared);
                }
            }
            _ => {}
        }
    }

    fn attribute(&mut self, operands: &Value, declared: &Declared) {
        let (root, path) = path(operands);
        if matches!(root, Some("context" | "resource")) {
            return;
        }
        let known = path.iter().filter(|name| declared.contains_key(**name));
        self.declared.extend(known.map(|name| (*name).to_owned()));
        let Some(first) = path.first().filter(|_| root == Some("principal")) else {
            return;
        };
        // The longest path says most about what the author means.
        let longer = |found: &Vec<String>| found[0] == *first && found.len() < path.len();
        if !declared.contains_key(*first) && self.undeclared.as_ref().is_none_or(longer) {
            self.undeclared = Some(path.iter().map(|name| (*name).to_owned()).collect());
        }
    }
}

/// The names of an attribute that is read, the outermost first, and the variable that has it, if it is one.
fn path(operands: &Value) -> (Option<&str>, Vec<&str>) {
    let mut names = Vec::new();
    let mut operands = operands;
    loop {
        // `has a.b` names several at once.
        let own: Vec<&str> = match &operands["attr"] {
            Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
            name => name.as_str().into_iter().collect(),
        };
        names.splice(0..0, own);
        let left = &operands["left"];
        match left.get(".") {
            Some(inner) => operands = inner,
            None => return (left["Var"].as_str(), names),
        }
    }
}

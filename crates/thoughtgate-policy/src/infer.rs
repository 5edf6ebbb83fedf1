//! Infers the arguments that a policy reads, and the type that each must have.
//!
//! Cedar requires declared types, but MCP tools declare theirs elsewhere, and an agent may send
//! anything. So types are inferred from the policies' use of an argument (`<` needs a number, `like` a
//! string), and a call whose argument has another type is refused rather than compared. Does not check
//! policies otherwise: Cedar's validator does.

use serde_json::Value;

use crate::evident::{context_path, evident_type, matched, ordered};
use crate::extension::{Extension, Function};
use crate::reads::Reads;
use crate::types::{Conflict, Fields, Text, Type, conflict, join_fields};

/// The reason why the types that a policy needs cannot be inferred.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// `context` or `context.arguments` is used as one value.
    Whole(String),
    /// An argument is used as two types. `first` and `second` count the expressions with its path in
    /// source order, from 0, and are `None` if a use is not one.
    Mixed {
        conflict: Conflict,
        first: Option<usize>,
        second: Option<usize>,
    },
    /// A constructor such as `ip` is applied to an argument, which Cedar cannot validate.
    Constructed {
        extension: Extension,
        /// Path below `context.arguments`.
        argument: String,
    },
}

/// The reads of a policy in its JSON form (Cedar's EST).
pub fn reads(policy: &Value) -> Result<Reads, Unreadable> {
    let mut inference = Inference::default();
    for condition in policy["conditions"].as_array().into_iter().flatten() {
        inference.expression(&condition["body"], &Type::Bool)?;
    }
    Ok(inference.reads)
}

#[derive(Default)]
struct Inference {
    reads: Reads,
    /// All uses so far, in source order.
    uses: Vec<Use>,
}

/// The attributes of entities.
const NAMES: [&str; 2] = ["name", "uri"];

/// One use of an argument.
struct Use {
    /// The path below `context.arguments` as far as it is an expression: `a` in `context.arguments.a has b`.
    written: String,
    found: Fields,
}

impl Inference {
    /// Collects the reads of one expression, of which its context needs the type `wanted`.
    fn expression(&mut self, expression: &Value, wanted: &Type) -> Result<(), Unreadable> {
        if let Some(path) = context_path(expression) {
            return self.read(&path, path.len(), valued(wanted));
        }
        let Some((operator, operands)) = expression
            .as_object()
            .and_then(|fields| fields.iter().next())
        else {
            return Ok(());
        };
        let (left, right) = (&operands["left"], &operands["right"]);
        match operator.as_str() {
            "Value" | "Var" => {
                self.attributes(wanted);
                Ok(())
            }
            "has" => self.presence(left, &operands["attr"]),
            // A member of a record literal is one of the literal's expressions.
            "." => match operands["attr"].as_str() {
                Some(name) => {
                    let record = Fields::from([(name.to_owned(), wanted.clone())]);
                    self.expression(left, &Type::Record(record))
                }
                None => self.expression(left, &Type::Any),
            },
            "is" => self.expression(left, &Type::Any),
            "like" => self.expression(left, &matched(&operands["pattern"])),
            "&&" | "||" => self.both(left, right, &Type::Bool),
            "!" => self.expression(&operands["arg"], &Type::Bool),
            "neg" => self.expression(&operands["arg"], &Type::Long),
            "<" | "<=" | ">" | ">=" => {
                let [wanted_left, wanted_right] = ordered(operator, left, right);
                self.expression(left, &wanted_left)?;
                self.expression(right, &wanted_right)
            }
            "+" | "-" | "*" => self.both(left, right, &Type::Long),
            "==" | "!=" => {
                // A literal on one side gives the type of an argument on the other.
                self.expression(left, &evident_type(right))?;
                self.expression(right, &evident_type(left))
            }
            "if-then-else" => {
                self.expression(&operands["if"], &Type::Bool)?;
                self.expression(&operands["then"], wanted)?;
                self.expression(&operands["else"], wanted)
            }
            _ => self.collection(operator, operands, wanted),
        }
    }

    /// The same for what reads or makes sets and records, and for extension functions.
    fn collection(
        &mut self,
        operator: &str,
        operands: &Value,
        wanted: &Type,
    ) -> Result<(), Unreadable> {
        let (left, right) = (&operands["left"], &operands["right"]);
        match operator {
            "contains" => {
                self.expression(left, &Type::Set(Box::new(evident_type(right))))?;
                let element = match evident_type(left) {
                    Type::Set(element) => *element,
                    _ => Type::Any,
                };
                self.expression(right, &element)
            }
            "containsAll" | "containsAny" => {
                let set = |other: &Value| match evident_type(other) {
                    set @ Type::Set(_) => set,
                    _ => Type::Set(Box::new(Type::Any)),
                };
                self.expression(left, &set(right))?;
                self.expression(right, &set(left))
            }
            "isEmpty" => {
                // Elements are counted and not compared, so they may have any type.
                let list = Type::Set(Box::new(Type::Any));
                match context_path(&operands["arg"]) {
                    Some(path) => self.read(&path, path.len(), list),
                    None => self.expression(&operands["arg"], &list),
                }
            }
            "Set" => {
                let element = match wanted {
                    Type::Set(element) => element.as_ref().clone(),
                    _ => Type::Any,
                };
                self.each(operands, &element)
            }
            "Record" => {
                let nothing = Fields::new();
                let fields = match wanted {
                    Type::Record(fields) => fields,
                    _ => &nothing,
                };
                let members = operands.as_object().into_iter().flatten();
                members.into_iter().try_for_each(|(name, member)| {
                    self.expression(member, fields.get(name).unwrap_or(&Type::Any))
                })
            }
            _ => match Function::named(operator) {
                Some(function) => self.function(function, operands),
                None => self.each(operands, &Type::Any),
            },
        }
    }

    /// The same for functions of extension types, whose operands have the types that they take.
    fn function(&mut self, function: Function, operands: &Value) -> Result<(), Unreadable> {
        let (receiver, argument) = match function {
            Function::Constructor(extension) => {
                let arguments = operands.as_array().into_iter().flatten();
                return match arguments.into_iter().find_map(argument_path) {
                    Some(argument) => Err(Unreadable::Constructed {
                        extension,
                        argument,
                    }),
                    None => self.each(operands, &Type::Text(Text::PLAIN)),
                };
            }
            Function::Method {
                receiver, argument, ..
            } => (receiver, argument),
        };
        self.expression(&operands[0], &Type::Extension(receiver))?;
        match argument {
            Some(argument) => self.expression(&operands[1], &Type::Extension(argument)),
            None => Ok(()),
        }
    }

    fn both(&mut self, left: &Value, right: &Value, wanted: &Type) -> Result<(), Unreadable> {
        self.expression(left, wanted)?;
        self.expression(right, wanted)
    }

    fn each(&mut self, operands: &Value, wanted: &Type) -> Result<(), Unreadable> {
        match operands {
            Value::Array(items) => items
                .iter()
                .try_for_each(|item| self.expression(item, wanted)),
            Value::Object(fields) => fields
                .values()
                .try_for_each(|item| self.expression(item, wanted)),
            _ => Ok(()),
        }
    }

    /// Collects the reads of `left has attr`, which reads the attribute's presence and not its value.
    fn presence(&mut self, left: &Value, attribute: &Value) -> Result<(), Unreadable> {
        // `has a.b` names several at once.
        let names: Vec<&str> = match attribute {
            Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
            name => name.as_str().into_iter().collect(),
        };
        let Some(mut path) = context_path(left) else {
            let fields = names.first().map(|name| ((*name).to_owned(), Type::Any));
            return self.expression(left, &Type::Record(fields.into_iter().collect()));
        };
        let written = path.len();
        path.extend(names.into_iter().map(str::to_owned));
        if path.len() == 1 {
            return Ok(());
        }
        self.read(&path, written, Type::Any)
    }

    /// Collects the attributes that are read of a variable or an entity. Only those of tools, resources
    /// and prompts exist.
    fn attributes(&mut self, wanted: &Type) {
        let Type::Record(fields) = wanted else {
            return;
        };
        for wanted in NAMES.iter().filter_map(|name| fields.get(*name)) {
            let found = match wanted {
                Type::Text(text) => *text,
                _ => Text::PLAIN,
            };
            let known = self.reads.name.get_or_insert(found);
            *known = known.join(found);
        }
    }

    /// Collects a read of what `path` below `context` leads to; the first `written` names of it are one
    /// expression.
    fn read(&mut self, path: &[String], written: usize, wanted: Type) -> Result<(), Unreadable> {
        match path {
            [first] if first == "now" => {
                self.reads.now = true;
                Ok(())
            }
            [first, rest @ ..] if first == "arguments" && !rest.is_empty() => {
                let leaf = rest.iter().skip(1).rev().fold(wanted, |inner, name| {
                    Type::Record(Fields::from([(name.clone(), inner)]))
                });
                let found = Fields::from([(rest[0].clone(), leaf)]);
                let written = path.get(1..written).unwrap_or_default().join(".");
                self.add(Use { written, found })
            }
            [] => Err(Unreadable::Whole("context".to_owned())),
            [first, ..] if first == "arguments" => {
                Err(Unreadable::Whole("context.arguments".to_owned()))
            }
            // Not a field of the context: the validator has a better message for this.
            _ => Ok(()),
        }
    }
}

impl Inference {
    fn add(&mut self, latest: Use) -> Result<(), Unreadable> {
        let joined = join_fields(&mut self.reads.arguments, &latest.found);
        let Err(found) = joined else {
            self.uses.push(latest);
            return Ok(());
        };
        let mut uses = self.uses.iter().filter(|used| used.has(&found.argument));
        Err(Unreadable::Mixed {
            second: latest.has(&found.argument).then(|| uses.clone().count()),
            first: uses.position(|used| conflict(&used.found, &latest.found).is_some()),
            conflict: found,
        })
    }
}

impl Use {
    /// Whether `argument`, a path below `context.arguments`, is an expression in this use.
    fn has(&self, argument: &str) -> bool {
        let rest = self.written.strip_prefix(argument);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

/// The type of an argument whose value is used: a string unless its use implies another type.
///
/// [`Type::Any`] has no value at evaluation, so a comparison would be meaningless and a `forbid` on it
/// would never hold. As a string, any other value is an error, and so a refusal.
fn valued(wanted: &Type) -> Type {
    match wanted {
        Type::Any => Type::Text(Text::PLAIN),
        Type::Set(element) => Type::Set(Box::new(valued(element))),
        Type::Record(fields) => {
            let fields = fields
                .iter()
                .map(|(name, wanted)| (name.clone(), valued(wanted)));
            Type::Record(fields.collect())
        }
        known => known.clone(),
    }
}

/// The path of an argument below `context.arguments`, if `expression` is one.
fn argument_path(expression: &Value) -> Option<String> {
    let path = context_path(expression)?;
    match path.as_slice() {
        [first, rest @ ..] if first == "arguments" && !rest.is_empty() => Some(rest.join(".")),
        _ => None,
    }
}

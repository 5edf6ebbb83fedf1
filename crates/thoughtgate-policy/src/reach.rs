//! The requests that the scope of a policy can match, as far as kinds, names and groups of the
//! configuration determine them.
//!
//! Does not look into conditions, nor at principals: each agent may call each tool.

use std::collections::BTreeSet;

use cedar_policy::{ActionConstraint, EntityTypeName, EntityUid, Policy, ResourceConstraint};

use crate::options::Options;
use crate::schema;

/// A kind of resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Tool,
    Prompt,
    Resource,
    /// All requests without a name or URI.
    Upstream,
}

impl Kind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Kind; 4] = [Kind::Tool, Kind::Prompt, Kind::Resource, Kind::Upstream];

    /// Noun for what two policies of this kind can have in common, in messages.
    pub fn shown(self) -> &'static str {
        match self {
            Kind::Tool => "tool",
            Kind::Prompt => "prompt",
            Kind::Resource => "resource",
            Kind::Upstream => "method",
        }
    }

    /// The kind of the resources of an action, or of its members if it is a group.
    fn of_action(action: &EntityUid) -> Kind {
        match action.id().unescaped() {
            "tools/call" => Kind::Tool,
            "prompts/get" => Kind::Prompt,
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => Kind::Resource,
            _ => Kind::Upstream,
        }
    }

    /// The kind with this type; `None` for types that no resource has.
    fn of_type(name: &EntityTypeName) -> Option<Kind> {
        match name.basename() {
            "Tool" => Some(Kind::Tool),
            "Prompt" => Some(Kind::Prompt),
            "Resource" => Some(Kind::Resource),
            "Upstream" => Some(Kind::Upstream),
            _ => None,
        }
    }
}

/// Names or URIs of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Names {
    All,
    Only(BTreeSet<String>),
}

impl Names {
    fn none() -> Names {
        Names::Only(BTreeSet::new())
    }

    fn is_none(&self) -> bool {
        matches!(self, Names::Only(names) if names.is_empty())
    }

    /// Whether some name is in both.
    fn overlap(&self, other: &Names) -> bool {
        match (self, other) {
            (Names::Only(own), Names::Only(other)) => !own.is_disjoint(other),
            (own, other) => !own.is_none() && !other.is_none(),
        }
    }
}

/// The resources that the scope of a policy can match: names of each kind, in the order of [`Kind::ALL`].
#[derive(Debug, PartialEq, Eq)]
pub struct Reach([Names; 4]);

impl Reach {
    /// The reach of `policy`.
    pub fn of(policy: &Policy, options: &Options) -> Reach {
        let resource = policy.resource_constraint();
        let names = names(&resource, options);
        let asked = |kind: Kind| match policy.action_constraint() {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(action) => Kind::of_action(&action) == kind,
            ActionConstraint::In(actions) => {
                actions.iter().any(|action| Kind::of_action(action) == kind)
            }
        };
        Reach(Kind::ALL.map(|kind| {
            if asked(kind) {
                names(kind)
            } else {
                Names::none()
            }
        }))
    }

    /// Each kind with the names that are reached.
    pub fn kinds(&self) -> impl Iterator<Item = (Kind, &Names)> {
        let kinds = Kind::ALL.into_iter().zip(&self.0);
        kinds.filter(|(_, names)| !names.is_none())
    }

    /// The first kind of which both reach one resource.
    pub fn shared(&self, other: &Reach) -> Option<Kind> {
        let mut kinds = Kind::ALL.into_iter().zip(self.0.iter().zip(&other.0));
        kinds.find_map(|(kind, (own, other))| own.overlap(other).then_some(kind))
    }
}

/// The names of each kind that a constraint accepts.
fn names<'p>(
    constraint: &'p ResourceConstraint,
    options: &'p Options,
) -> impl Fn(Kind) -> Names + use<'p> {
    move |kind| match constraint {
        ResourceConstraint::Any => Names::All,
        ResourceConstraint::Eq(entity) => one(kind, entity),
        ResourceConstraint::Is(name) if Kind::of_type(name) == Some(kind) => Names::All,
        ResourceConstraint::In(entity) => within(kind, entity, options),
        ResourceConstraint::IsIn(name, entity) if Kind::of_type(name) == Some(kind) => {
            within(kind, entity, options)
        }
        ResourceConstraint::Is(_) | ResourceConstraint::IsIn(..) => Names::none(),
    }
}

fn one(kind: Kind, entity: &EntityUid) -> Names {
    if Kind::of_type(entity.type_name()) == Some(kind) {
        Names::Only(BTreeSet::from([entity.id().unescaped().to_owned()]))
    } else {
        Names::none()
    }
}

fn within(kind: Kind, entity: &EntityUid, options: &Options) -> Names {
    // All that has a name is in the upstream, and the upstream in itself.
    if Kind::of_type(entity.type_name()) == Some(Kind::Upstream) {
        return Names::All;
    }
    if schema::is_tool_group(entity) {
        let members = options.tool_groups.get(entity.id().unescaped());
        return match members {
            Some(members) if kind == Kind::Tool => Names::Only(members.iter().cloned().collect()),
            _ => Names::none(),
        };
    }
    one(kind, entity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declared::Declared;
    use crate::types::Fields;

    fn reach(scope: &str) -> Reach {
        let text = format!("permit (principal, {scope});");
        let group = |name: &str, members: &[&str]| {
            let members = members.iter().map(ToString::to_string).collect();
            (name.to_owned(), members)
        };
        let options = Options {
            tool_groups: [group("g", &["a", "b"]), group("h", &["c"])].into(),
            ..Options::default()
        };
        Reach::of(&Policy::parse(None, text).unwrap(), &options)
    }

    #[test]
    fn scopes_share_what_both_can_match() {
        let call = "action == Action::\"tools/call\"";
        for (first, second, expected) in [
            ("action, resource", "action, resource", Some(Kind::Tool)),
            ("in ToolGroup::\"g\"", "== Tool::\"a\"", Some(Kind::Tool)),
            ("in ToolGroup::\"g\"", "== Tool::\"c\"", None),
            ("in ToolGroup::\"g\"", "in ToolGroup::\"h\"", None),
            (
                "is Tool in ToolGroup::\"g\"",
                "in ToolGroup::\"g\"",
                Some(Kind::Tool),
            ),
            (
                "is Tool in Upstream::\"upstream\"",
                "== Tool::\"x\"",
                Some(Kind::Tool),
            ),
            ("is Tool", "in ToolGroup::\"h\"", Some(Kind::Tool)),
            (
                "in Upstream::\"upstream\"",
                "in ToolGroup::\"h\"",
                Some(Kind::Tool),
            ),
            ("action, resource is Prompt", "is Tool", None),
            ("action == Action::\"prompts/get\", resource", "", None),
            (
                "action == Action::\"prompts/get\", resource",
                "action, resource",
                Some(Kind::Prompt),
            ),
            (
                "action in [Action::\"prompts/get\", Action::\"resources/read\"], resource",
                "action == Action::\"resources/subscribe\", resource == Resource::\"file:///x\"",
                Some(Kind::Resource),
            ),
            (
                "action in Action::\"protocol\", resource",
                "action == Action::\"other\", resource",
                Some(Kind::Upstream),
            ),
        ] {
            let whole = |scope: &str| {
                if scope.starts_with("action") {
                    reach(scope)
                } else {
                    reach(&format!("{call}, resource {scope}"))
                }
            };
            assert_eq!(
                whole(first).shared(&whole(second)),
                expected,
                "{first} {second}"
            );
            assert_eq!(
                whole(second).shared(&whole(first)),
                expected,
                "{second} {first}"
            );
        }
    }

    #[test]
    fn the_kinds_of_actions_are_those_of_the_schema() {
        let schema = schema::complete(&Declared::default(), &Fields::new()).unwrap();
        for action in schema.actions() {
            for resource in schema.resources_for_action(action).into_iter().flatten() {
                assert_eq!(
                    Some(Kind::of_action(action)),
                    Kind::of_type(resource),
                    "{action}"
                );
            }
        }
    }
}

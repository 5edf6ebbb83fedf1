//! The engine against Cedar's own authorizer over all policies: buckets, slices and memory must not
//! change a single decision.

use std::collections::HashSet;
use std::fmt::Write as _;

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityUid, PolicySet, Request,
    RestrictedExpression,
};
use thoughtgate_policy::Target;

use crate::{ask, engine, word};

/// `SplitMix64`; the seed stands in the test, so a failure repeats.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }
}

fn policies(random: &mut Random, count: u64) -> String {
    let mut text = String::new();
    for _ in 0..count {
        let principal = match random.below(4) {
            0 => format!("principal == Agent::\"agent-{}\"", random.below(4)),
            1 => "principal in Group::\"ops\"".to_owned(),
            2 => "principal is Agent".to_owned(),
            _ => "principal".to_owned(),
        };
        let action = match random.below(3) {
            0 => "action == Action::\"tools/call\"".to_owned(),
            1 => "action in [Action::\"tools/call\", Action::\"prompts/get\"]".to_owned(),
            _ => "action == Action::\"prompts/get\"".to_owned(),
        };
        let resource = match random.below(8) {
            0 => "resource".to_owned(),
            1 => "resource in ToolGroup::\"read-only\"".to_owned(),
            2 => "resource in Upstream::\"upstream\"".to_owned(),
            _ => format!("resource == Tool::\"tool-{}\"", random.below(40)),
        };
        // A head that can never match is the validator's to refuse.
        let action = if resource.contains("Tool") {
            "action == Action::\"tools/call\"".to_owned()
        } else {
            action
        };
        // A forbid of everything would leave nothing to compare.
        let effect = if resource.contains("==") && random.below(4) == 0 {
            "forbid"
        } else {
            "permit"
        };
        let when = match random.below(3) {
            0 => format!(
                " when {{ context.arguments has n && context.arguments.n > {} }}",
                random.below(10)
            ),
            1 => format!(
                " unless {{ context.arguments has s && context.arguments.s == \"s{}\" }}",
                random.below(3)
            ),
            _ => String::new(),
        };
        writeln!(text, "{effect} ({principal}, {action}, {resource}){when};").unwrap();
    }
    text
}

fn uid(text: &str) -> EntityUid {
    text.parse().unwrap()
}

#[test]
fn every_decision_is_cedars_own() {
    for (seed, count) in [(1, 10), (2, 60), (3, 300)] {
        let mut random = Random(seed);
        let text = policies(&mut random, count);
        let engine = engine(&text);
        let all: PolicySet = text.parse().unwrap();
        let mut seen = HashSet::new();
        for _ in 0..600 {
            let agent = ["agent-0", "agent-1", "agent-2", "alice"]
                [usize::try_from(random.below(4)).unwrap()];
            let tool = match random.below(10) {
                0 => "list".to_owned(),
                index => format!("tool-{}", index * 4),
            };
            let (n, s) = (
                i64::try_from(random.below(12)).unwrap(),
                format!("s{}", random.below(4)),
            );
            let decision = ask(
                &engine,
                agent,
                Target::Tool(&tool),
                &format!("{{\"n\": {n}, \"s\": \"{s}\"}}"),
            );
            let expected = naive(&all, agent, &tool, n, &s);
            assert_eq!(
                word(&decision),
                expected,
                "seed {seed}: {agent} calls {tool} with {n}, {s}"
            );
            seen.insert(expected);
        }
        assert!(
            seen.len() == 2 || count == 10,
            "seed {seed} shows both outcomes"
        );
    }
}

fn naive(policies: &PolicySet, agent: &str, tool: &str, n: i64, s: &str) -> &'static str {
    let principal = uid(&format!("Agent::\"{agent}\""));
    let resource = uid(&format!("Tool::\"{tool}\""));
    let groups = if agent == "alice" {
        HashSet::from([uid("Group::\"ops\"")])
    } else {
        HashSet::new()
    };
    let mut parents = HashSet::from([uid("Upstream::\"upstream\"")]);
    if tool == "list" {
        parents.insert(uid("ToolGroup::\"read-only\""));
    }
    let entities = Entities::from_entities(
        [
            Entity::new_no_attrs(principal.clone(), groups),
            Entity::new_no_attrs(resource.clone(), parents),
        ],
        None,
    )
    .unwrap();
    let arguments = RestrictedExpression::new_record([
        ("n".to_owned(), RestrictedExpression::new_long(n)),
        (
            "s".to_owned(),
            RestrictedExpression::new_string(s.to_owned()),
        ),
    ])
    .unwrap();
    let context = Context::from_pairs([("arguments".to_owned(), arguments)]).unwrap();
    let request = Request::new(
        principal,
        uid("Action::\"tools/call\""),
        resource,
        context,
        None,
    )
    .unwrap();
    match Authorizer::new()
        .is_authorized(&request, policies, &entities)
        .decision()
    {
        Decision::Allow => "forward",
        Decision::Deny => "reject",
    }
}

//! The engine compared with Cedar's own authorizer on random policies: index, residuals, split policies,
//! cache, and the reading of arguments from JSON must not change a decision or its reasons.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityUid, PolicySet, Request,
    RestrictedExpression,
};
use serde_json::{Map, Value};
use thoughtgate_policy::{Decision as Ours, Target};

use crate::{ask_with, claims, word};

/// Arguments as Cedar has them.
type Values = Vec<(String, RestrictedExpression)>;

/// `SplitMix64` with a seed that is fixed in the test, so that a failure can be repeated.
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
    for number in 0..count {
        let principal = match random.below(5) {
            0 => format!("principal == Agent::\"agent-{}\"", random.below(4)),
            1 => "principal in Group::\"ops\"".to_owned(),
            2 => "principal is Agent".to_owned(),
            3 => "principal is Agent in Group::\"ops\"".to_owned(),
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
        // The validator would refuse a scope that can never match.
        let action = if resource.contains("Tool") {
            "action == Action::\"tools/call\"".to_owned()
        } else {
            action
        };
        // A forbid on everything would leave nothing to compare.
        let effect = if resource.contains("==") && random.below(4) == 0 {
            "forbid"
        } else {
            "permit"
        };
        let when = match resource.strip_prefix("resource == Tool::\"tool-") {
            Some(number) if random.below(4) == 0 => of_tool(number.trim_end_matches('"')),
            _ => condition(random),
        };
        writeln!(
            text,
            "@id(\"p{number}\") {effect} ({principal}, {action}, {resource}){when};"
        )
        .unwrap();
    }
    text
}

/// A condition on `id`, a number to tools with even numbers and a string to the others.
fn of_tool(tool: &str) -> String {
    let test = if is_even(tool) { "> 2" } else { "== \"id2\"" };
    format!(" when {{ context.arguments has id && context.arguments.id {test} }}")
}

fn is_even(tool: &str) -> bool {
    tool.ends_with(['0', '2', '4', '6', '8'])
}

/// A random condition on the call, the principal or the resource, or none. Some overflow for some `n`.
fn condition(random: &mut Random) -> String {
    let number = random.below(10);
    match random.below(24) {
        20 => format!(
            " when {{ principal has groups && principal.groups.contains(\"g{}\") }}",
            number % 3
        ),
        21 => format!(" unless {{ principal has level && principal.level > {number} }}"),
        22 => {
            " when { principal has level && principal.level * 1000000000000000000 < 0 }".to_owned()
        }
        23 => " when { principal has admin && principal.admin == (context.arguments has n) }"
            .to_owned(),
        14 => format!(
            " when {{ context.arguments has price && \
             context.arguments.price.lessThan(decimal(\"{number}.05\")) }}"
        ),
        15 => format!(
            " unless {{ context.arguments has host && \
             context.arguments.host.isInRange(ip(\"10.{number}.0.0/15\")) }}"
        ),
        16 => format!(
            " when {{ context.arguments has due && \
             context.arguments.due <= datetime(\"2026-01-0{number}\") }}",
            number = number.max(1)
        ),
        17 => format!(
            " when {{ context.arguments has prices && \
             context.arguments.prices.contains(decimal(\"{number}.5\")) }}"
        ),
        // The alternative keeps it from contradicting the scope, for which a policy is refused.
        18 => {
            format!(" when {{ resource.name like \"tool-{number}*\" || context.arguments has s }}")
        }
        19 => " unless { context.arguments has n }".to_owned(),
        12 => format!(
            " when {{ context.arguments has s && context.arguments.s like \"s{}*\" }}",
            ["", "0", "1x", "2*x"][usize::try_from(number % 4).unwrap()]
        ),
        13 => " unless { context.arguments has s && context.arguments.s like \"s1*\" }".to_owned(),
        0..3 => {
            format!(" when {{ context.arguments has n && context.arguments.n > {number} }}")
        }
        3..6 => format!(
            " unless {{ context.arguments has s && context.arguments.s == \"s{}\" }}",
            number % 3
        ),
        6 => " when { principal in Group::\"ops\" }".to_owned(),
        7 => format!(
            " when {{ context.arguments has n }} unless {{ context.arguments.n == {number} }} \
             unless {{ principal == Agent::\"agent-1\" && context.arguments.n > 2 }}"
        ),
        8 => " when { context.arguments has n && \
               context.arguments.n * 1000000000000000000 < 0 }"
            .to_owned(),
        _ => String::new(),
    }
}

fn uid(text: &str) -> EntityUid {
    text.parse().unwrap()
}

#[test]
fn every_decision_is_cedars_own() {
    for (seed, count) in [(1, 10), (2, 60), (3, 300)] {
        let mut random = Random(seed);
        let text = policies(&mut random, count);
        let engine = claims::engine(&text);
        let all: PolicySet = text.parse().unwrap();
        let mut seen = HashSet::new();
        for _ in 0..600 {
            let agent = ["agent-0", "agent-1", "agent-2", "alice"]
                [usize::try_from(random.below(4)).unwrap()];
            let tool = match random.below(10) {
                0 => "list".to_owned(),
                index => format!("tool-{}", index * 4 + index % 2),
            };
            let target = match random.below(5) {
                0 => Target::Prompt(&tool),
                _ => Target::Tool(&tool),
            };
            let (arguments, values) = arguments(&mut random, &tool);
            let (token, attributes) = token(&mut random);
            let decision = ask_with(&engine, agent, &claims::claims(&token), target, &arguments);
            let expected = naive(&all, (agent, attributes), &target, values);
            assert!(
                agree(&decision, &expected),
                "seed {seed}: {agent} with {token} asks for {target:?} with {arguments}: {decision:?}, {expected:?}"
            );
            seen.insert(expected.0);
        }
        assert!(
            seen.len() == 3 || count == 10,
            "seed {seed} shows all outcomes: {seen:?}"
        );
    }
}

/// Random claims as a token has them, and as attributes in Cedar.
fn token(random: &mut Random) -> (Value, HashMap<String, RestrictedExpression>) {
    let mut token = Map::new();
    let mut attributes = HashMap::new();
    let mut add = |name: &str, json: Value, value: RestrictedExpression| {
        token.insert(name.to_owned(), json);
        attributes.insert(name.to_owned(), value);
    };
    if random.below(3) > 0 {
        let groups: Vec<String> = (0..random.below(3))
            .map(|group| format!("g{group}"))
            .collect();
        let set = groups.iter().cloned().map(RestrictedExpression::new_string);
        add(
            "groups",
            groups.clone().into(),
            RestrictedExpression::new_set(set),
        );
    }
    if random.below(3) > 0 {
        let level = i64::try_from(random.below(12)).unwrap();
        add("level", level.into(), RestrictedExpression::new_long(level));
    }
    if random.below(3) > 0 {
        let admin = random.below(2) == 0;
        add("admin", admin.into(), RestrictedExpression::new_bool(admin));
    }
    (Value::Object(token), attributes)
}

/// Random arguments as an agent may write them, and as Cedar has them.
fn arguments(random: &mut Random, tool: &str) -> (String, Values) {
    let mut members = Vec::new();
    let mut values = Vec::new();
    let mut add = |name: &str, json: String, value: RestrictedExpression| {
        members.push(format!("\"{name}\": {json}"));
        values.push((name.to_owned(), value));
    };
    let n = i64::try_from(random.below(12)).unwrap();
    let json = match random.below(4) {
        0 => format!("{n}.0"),
        1 => format!("{}E-1", n * 10),
        _ => n.to_string(),
    };
    add("n", json, RestrictedExpression::new_long(n));
    let s = format!(
        "s{}{}",
        random.below(4),
        ["", "x", "xx"][usize::try_from(random.below(3)).unwrap()]
    );
    add(
        "s",
        format!("\"{s}\""),
        RestrictedExpression::new_string(s.clone()),
    );
    let id = i64::try_from(random.below(5)).unwrap();
    if is_even(tool) {
        add("id", id.to_string(), RestrictedExpression::new_long(id));
    } else {
        let text = format!("id{id}");
        let json = format!("\"{text}\"");
        add("id", json, RestrictedExpression::new_string(text));
    }
    let (one, other) = (price(random), price(random));
    add("price", one.0.clone(), one.1.clone());
    add(
        "prices",
        format!("[{}, {}]", one.0, other.0),
        RestrictedExpression::new_set([one.1, other.1]),
    );
    let host = format!("10.{}.{}.1", random.below(12), random.below(3));
    add(
        "host",
        format!("\"{host}\""),
        RestrictedExpression::new_ip(host.clone()),
    );
    let due = format!(
        "2026-01-0{}T0{}:00:00Z",
        random.below(9) + 1,
        random.below(3)
    );
    add(
        "due",
        format!("\"{due}\""),
        RestrictedExpression::new_datetime(due.clone()),
    );
    leave_out(random, &mut members, &mut values);
    (format!("{{{}}}", members.join(", ")), values)
}

/// A decimal in one of its spellings.
fn price(random: &mut Random) -> (String, RestrictedExpression) {
    let (whole, tenth) = (random.below(10), random.below(10));
    let json = match random.below(4) {
        0 => format!("\"{whole}.{tenth}\""),
        1 => format!("{}e-1", whole * 10 + tenth),
        2 => format!("{whole}.{tenth}000000"),
        _ => format!("{whole}.{tenth}"),
    };
    let value = RestrictedExpression::new_decimal(format!("{whole}.{tenth}"));
    (json, value)
}

/// Makes some members `null`, and so absent, and leaves some out.
fn leave_out(random: &mut Random, members: &mut Vec<String>, values: &mut Values) {
    for number in (0..members.len()).rev() {
        match random.below(12) {
            0 => {
                let (name, _) = values.remove(number);
                members[number] = format!("\"{name}\": null");
            }
            1 => {
                values.remove(number);
                members.remove(number);
            }
            _ => {}
        }
    }
}

/// Whether two decisions agree, with their reasons. The engine stops at a forbid that holds for every
/// call, so it may name fewer forbids than Cedar, and miss an error.
fn agree(ours: &Ours, (expected, determining): &(&str, Vec<String>)) -> bool {
    let policies: Vec<&str> = ours.policies.iter().map(AsRef::as_ref).collect();
    match (word(ours), *expected) {
        ("forward", "forward") => policies == *determining,
        ("reject", "reject") if policies.is_empty() => determining.is_empty(),
        ("reject", "reject") => policies
            .iter()
            .all(|id| determining.iter().any(|of| of == id)),
        ("reject", "error") => !policies.is_empty(),
        (word, expected) => word == expected,
    }
}

fn naive(
    policies: &PolicySet,
    (agent, attributes): (&str, HashMap<String, RestrictedExpression>),
    target: &Target<'_>,
    values: Values,
) -> (&'static str, Vec<String>) {
    let (action, resource) = match target {
        Target::Tool(name) => ("tools/call", format!("Tool::\"{name}\"")),
        Target::Prompt(name) => ("prompts/get", format!("Prompt::\"{name}\"")),
        other => panic!("{other:?} is not asked for here"),
    };
    let (principal, resource) = (uid(&format!("Agent::\"{agent}\"")), uid(&resource));
    let entities = entities(&principal, attributes, &resource);
    let arguments = RestrictedExpression::new_record(values).unwrap();
    let context = Context::from_pairs([("arguments".to_owned(), arguments)]).unwrap();
    let action = uid(&format!("Action::\"{action}\""));
    let request = Request::new(principal, action, resource, context, None).unwrap();
    let response = Authorizer::new().is_authorized(&request, policies, &entities);
    if response.diagnostics().errors().next().is_some() {
        return ("error", Vec::new());
    }
    let name = |id| policies.annotation(id, "id").unwrap().to_owned();
    let mut determining: Vec<String> = response.diagnostics().reason().map(name).collect();
    determining.sort();
    match response.decision() {
        Decision::Allow => ("forward", determining),
        Decision::Deny => ("reject", determining),
    }
}

fn entities(
    principal: &EntityUid,
    claims: HashMap<String, RestrictedExpression>,
    resource: &EntityUid,
) -> Entities {
    let groups = if *principal == uid("Agent::\"alice\"") {
        HashSet::from([uid("Group::\"ops\"")])
    } else {
        HashSet::new()
    };
    let mut parents = HashSet::from([uid("Upstream::\"upstream\"")]);
    if *resource == uid("Tool::\"list\"") {
        parents.insert(uid("ToolGroup::\"read-only\""));
    }
    let name = RestrictedExpression::new_string(resource.id().unescaped().to_owned());
    let attributes = HashMap::from([("name".to_owned(), name)]);
    Entities::from_entities(
        [
            Entity::new(principal.clone(), claims, groups).unwrap(),
            Entity::new(resource.clone(), attributes, parents).unwrap(),
        ],
        None,
    )
    .unwrap()
}

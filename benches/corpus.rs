//! The policies and requests of all policy benchmarks, for both engines.
//!
//! The files resemble a sidecar's: three rules for all tools, then one rule per tool, so that a larger
//! file means more tools and not more rules about each. Times nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::value::RawValue;
use thoughtgate_policy::{Declared, Engine, Options, Source};

/// Whether the rules read the arguments of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Rules on agents and tools alone.
    ContextFree,
    /// Rules that also compare arguments.
    ContextReading,
}

impl Kind {
    pub const ALL: [Kind; 2] = [Kind::ContextFree, Kind::ContextReading];

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Kind::ContextFree => "context_free",
            Kind::ContextReading => "context_reading",
        }
    }
}

/// Sizes of the policy files, in policies.
pub const SIZES: [usize; 4] = [1, 10, 100, 1000];

/// Number of rules for all tools. A file of one policy has only the first of them.
const GENERAL: usize = 3;

/// Agents that call; the first two are in the group `STAFF`.
pub const AGENTS: [&str; 4] = ["planner", "coder", "reviewer", "visitor"];
/// The group of agents that most rules permit.
pub const STAFF: &str = "staff";
/// The group of tools that all agents may call.
pub const READ_ONLY: &str = "read-only";
/// The upstream's name.
pub const UPSTREAM: &str = "upstream";

/// One call of a tool.
pub struct Call {
    pub agent: String,
    pub tool: String,
    /// About 150 bytes of JSON.
    pub arguments: Box<RawValue>,
}

impl Call {
    /// The same call by another agent.
    pub fn by(&self, agent: String) -> Call {
        Call {
            agent,
            tool: self.tool.clone(),
            arguments: self.arguments.clone(),
        }
    }
}

/// A policy file of `count` policies.
pub fn policies(count: usize, kind: Kind) -> String {
    let mut text = String::new();
    for number in 0..count {
        text.push_str(&match number {
            0 => general_permit(kind),
            1 => general_forbid(kind),
            2 => staff_permit(kind),
            _ => tool_rule(number, kind),
        });
    }
    text
}

fn general_permit(kind: Kind) -> String {
    let condition = match kind {
        Kind::ContextFree => "",
        Kind::ContextReading => {
            " when { context.arguments has path && context.arguments.path like \"/workspace/*\" }"
        }
    };
    rule(
        "permit",
        "principal",
        "resource in ToolGroup::\"read-only\"",
        condition,
        "read",
    )
}

fn general_forbid(kind: Kind) -> String {
    let (principal, condition) = match kind {
        Kind::ContextFree => ("principal == Agent::\"visitor\"", ""),
        Kind::ContextReading => (
            "principal",
            " when { context.arguments has path && context.arguments.path like \"/workspace/.git/*\" }",
        ),
    };
    rule("forbid", principal, "resource", condition, "guard")
}

fn staff_permit(kind: Kind) -> String {
    let condition = match kind {
        Kind::ContextFree => "",
        Kind::ContextReading => {
            " unless { context.arguments has limit && context.arguments.limit > 500 }"
        }
    };
    let resource = "resource in ToolGroup::\"write\"";
    rule(
        "permit",
        "principal in Group::\"staff\"",
        resource,
        condition,
        "staff",
    )
}

/// Forbids every fourth tool to one agent, and permits the others to the staff.
fn tool_rule(number: usize, kind: Kind) -> String {
    let tool = tool_name(number - GENERAL);
    let resource = format!("resource == Tool::\"{tool}\"");
    let condition = match kind {
        Kind::ContextFree => "",
        Kind::ContextReading => {
            " when { context.arguments has limit && context.arguments.limit <= 100 }"
        }
    };
    if number % 4 == 3 {
        let principal = "principal == Agent::\"reviewer\"";
        rule(
            "forbid",
            principal,
            &resource,
            condition,
            &format!("stop-{tool}"),
        )
    } else {
        let principal = "principal in Group::\"staff\"";
        rule(
            "permit",
            principal,
            &resource,
            condition,
            &format!("use-{tool}"),
        )
    }
}

fn rule(effect: &str, principal: &str, resource: &str, condition: &str, id: &str) -> String {
    let mut text = String::new();
    writeln!(
        text,
        "@id(\"{id}\")\n{effect} ({principal}, action == Action::\"tools/call\", {resource}){condition};"
    )
    .expect("a String takes any text");
    text
}

fn tool_name(number: usize) -> String {
    format!("tool_{number}")
}

/// The tools that a file of `count` policies has rules for, but at least eight.
pub fn tools(count: usize) -> Vec<String> {
    (0..count.saturating_sub(GENERAL).max(8))
        .map(tool_name)
        .collect()
}

/// Groups of half of the agents, and of every third and every fifth tool.
pub fn options(count: usize) -> Options {
    let every = |step: usize| tools(count).into_iter().step_by(step).collect::<Vec<_>>();
    let staff = AGENTS[..2].iter().map(|&agent| agent.to_owned()).collect();
    Options {
        upstream: UPSTREAM.to_owned(),
        approvals: false,
        agent_groups: BTreeMap::from([(STAFF.to_owned(), staff)]),
        tool_groups: BTreeMap::from([
            (READ_ONLY.to_owned(), every(3)),
            ("write".to_owned(), every(5)),
        ]),
        annotations: Vec::new(),
        claims: Declared::default(),
    }
}

/// ThoughtGate's engine with a file of `count` policies.
pub fn engine(count: usize, kind: Kind) -> Engine {
    let source = Source {
        name: "bench.cedar".to_owned(),
        text: policies(count, kind),
    };
    Engine::load(&[source], &options(count)).expect("the generated policies are valid")
}

/// 1024 calls in a random order that is the same in each run.
pub fn calls(count: usize) -> Vec<Call> {
    let tools = tools(count);
    let mut random = Random(0x5EED);
    (0..1024)
        .map(|_| {
            let agent = AGENTS[random.below(AGENTS.len())].to_owned();
            let tool = tools[random.below(tools.len())].clone();
            // The rules permit the first folder, pass over the second and forbid the third.
            let folder = ["/workspace/src", "/etc", "/workspace/.git"][random.below(3)];
            let path = format!("{folder}/file_{}.rs", random.below(1000));
            // On both sides of the limits in the rules, 100 and 500.
            let limit = [20, 80, 200, 900][random.below(4)];
            let text = format!(
                "{{\"path\":\"{path}\",\"limit\":{limit},\"recursive\":true,\
                 \"query\":\"where is the retry policy of the client told\",\"tags\":[\"a\",\"b\"]}}"
            );
            let arguments = RawValue::from_string(text).expect("the arguments are JSON");
            Call { agent, tool, arguments }
        })
        .collect()
}

/// `SplitMix64` with a fixed seed, so that all runs measure the same calls.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let mixed = mixed ^ (mixed >> 31);
        usize::try_from(mixed % end as u64).expect("below a usize")
    }
}

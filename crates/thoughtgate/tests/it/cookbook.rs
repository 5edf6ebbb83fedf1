//! The recipes of `docs/policies.md`: each makes the decisions that are written below it.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use thoughtgate_policy::{Engine, LOAD_STACK_BYTES, Options, Outcome, Query, Source, Target};

use crate::markdown::{self, Block};

/// A recipe: policies, and the decisions expected of them.
struct Recipe {
    policies: Block,
    cases: Block,
}

/// The configuration at the top of the cookbook, as far as policies refer to it.
#[derive(Deserialize)]
struct Configuration {
    tool_groups: BTreeMap<String, Vec<String>>,
    agent: Agents,
}

#[derive(Deserialize)]
struct Agents {
    groups: BTreeMap<String, Vec<String>>,
}

/// A call, and the decision expected on it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    call: Option<String>,
    prompt: Option<String>,
    resource: Option<String>,
    method: Option<String>,
    agent: String,
    arguments: Option<Value>,
    #[serde(default, with = "humantime_serde::option")]
    at: Option<SystemTime>,
    expect: String,
    by: Option<Vec<String>>,
    #[serde(rename = "why")]
    _why: Option<String>,
}

#[test]
fn every_recipe_decides_as_it_says() {
    let mut blocks = markdown::blocks(&markdown::document("docs/policies.md"));
    let configuration: Configuration = serde_saphyr::from_str(&blocks.remove(0).text).unwrap();
    let options = Options {
        approvals: true,
        tool_groups: configuration.tool_groups,
        agent_groups: configuration.agent.groups,
        ..Options::default()
    };
    let recipes = recipes(blocks);
    assert!(recipes.len() >= 20, "{} recipes only", recipes.len());
    let faults: Vec<String> = recipes
        .iter()
        .flat_map(|recipe| faults(recipe, &options))
        .collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn a_recipe_without_cases_or_with_a_wrong_one_fails() {
    let cedar = "```cedar\n@id(\"all\") permit (principal, action, resource);\n```\n";
    let found = |yaml: &str| {
        let blocks = markdown::blocks(&format!("{cedar}```yaml\n{yaml}```\n"));
        faults(&recipes(blocks)[0], &Options::default())
    };
    let case = "- {call: t, agent: a, expect: permit, by: [all]}\n";
    assert_eq!(found(case), Vec::<String>::new());
    assert_eq!(found(&case.replace("permit", "refuse")).len(), 1);
    assert_eq!(found(&case.replace("[all]", "[other]")).len(), 1);
    assert_eq!(found("[]\n").len(), 1);
    for unpaired in [cedar.to_owned(), cedar.repeat(2)] {
        let paired = std::panic::catch_unwind(|| recipes(markdown::blocks(&unpaired)).len());
        assert!(paired.is_err(), "{unpaired}");
    }
}

/// Pairs each block of policies with the block of cases below it, under one heading.
fn recipes(blocks: Vec<Block>) -> Vec<Recipe> {
    let mut blocks = blocks.into_iter();
    let mut recipes = Vec::new();
    while let Some(policies) = blocks.next() {
        let cases = blocks.next();
        let cases = cases.filter(|cases| {
            (policies.language.as_str(), cases.language.as_str()) == ("cedar", "yaml")
                && policies.heading == cases.heading
        });
        let Some(cases) = cases else {
            panic!(
                "line {}: not a block of policies with one of cases below it",
                policies.line
            )
        };
        recipes.push(Recipe { policies, cases });
    }
    recipes
}

/// The cases of a recipe that are decided otherwise than expected.
fn faults(recipe: &Recipe, options: &Options) -> Vec<String> {
    let Recipe { policies, cases } = recipe;
    let source = Source {
        name: policies.heading.clone(),
        text: policies.text.clone(),
    };
    let load = || Engine::load(&[source], options);
    let loaded = std::thread::scope(|scope| {
        let loading = std::thread::Builder::new().stack_size(LOAD_STACK_BYTES);
        loading.spawn_scoped(scope, load).unwrap().join().unwrap()
    });
    let engine = loaded.unwrap_or_else(|error| panic!("line {}: {error}", policies.line));
    let parsed: Vec<Case> = serde_saphyr::from_str(&cases.text)
        .unwrap_or_else(|error| panic!("line {}: {error}", cases.line));
    if parsed.is_empty() {
        return vec![format!("{}: no cases", cases.heading)];
    }
    let differing = parsed.iter().filter_map(|case| difference(case, &engine));
    differing
        .map(|difference| format!("{}: {difference}", cases.heading))
        .collect()
}

fn difference(case: &Case, engine: &Engine) -> Option<String> {
    let target = match case {
        Case {
            call: Some(name), ..
        } => Target::Tool(name),
        Case {
            prompt: Some(name), ..
        } => Target::Prompt(name),
        Case {
            resource: Some(uri),
            ..
        } => Target::Resource {
            method: "resources/read",
            uri,
        },
        case => Target::Method(case.method.as_ref().expect("a call")),
    };
    let arguments: Option<Box<RawValue>> = case
        .arguments
        .as_ref()
        .map(|value| to_raw_value(value).unwrap());
    let decision = engine.decide(&Query {
        principal: &case.agent,
        target,
        arguments: arguments.as_deref(),
        now: case.at.unwrap_or(SystemTime::UNIX_EPOCH),
    });
    let found = match decision.outcome {
        Outcome::Forward => "permit",
        Outcome::Reject => "refuse",
        Outcome::Approve { .. } => "approve",
    };
    let by: Vec<&str> = decision.policies.iter().map(|id| &**id).collect();
    let is_right = found == case.expect && case.by.as_ref().is_none_or(|expected| by == *expected);
    (!is_right).then(|| {
        format!(
            "{case:?} is decided as {found} by {by:?}, {:?}",
            decision.error
        )
    })
}

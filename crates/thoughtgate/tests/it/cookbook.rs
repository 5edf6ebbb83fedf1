//! The recipes of `docs/policies.md`: `thoughtgate test` finds each to decide as is written below it.

use std::process::Command;

use crate::markdown::{self, Block};

/// A recipe: policies, and the decisions expected of them.
struct Recipe {
    /// Its own configuration, if it has one.
    configuration: Option<Block>,
    policies: Block,
    cases: Block,
}

#[test]
fn every_recipe_decides_as_it_says() {
    let mut blocks = markdown::blocks(&markdown::document("docs/policies.md"));
    let configuration = blocks.remove(0).text;
    let recipes = recipes(blocks);
    assert!(recipes.len() >= 20, "{} recipes only", recipes.len());
    let faults: Vec<String> = recipes
        .iter()
        .filter_map(|recipe| fault(recipe, &configuration))
        .collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn a_recipe_without_cases_or_with_a_wrong_one_fails() {
    let cedar = "```cedar\n@id(\"all\") permit (principal, action, resource);\n```\n";
    let found = |yaml: &str| {
        let blocks = markdown::blocks(&format!("{cedar}```yaml\n{yaml}```\n"));
        fault(&recipes(blocks)[0], "policy: policies.cedar\n")
    };
    let case = "- {call: t, agent: a, expect: permit, by: [all]}\n";
    assert_eq!(found(case), None);
    for wrong in [
        &case.replace("permit", "refuse"),
        &case.replace("[all]", "[other]"),
        "[]\n",
        "",
    ] {
        assert!(found(wrong).is_some(), "{wrong}");
    }
    let own = "```yaml\npolicy: policies.cedar\n```\n";
    for unpaired in [
        cedar.to_owned(),
        cedar.repeat(2),
        own.to_owned(),
        format!("{own}{cedar}"),
        format!("{own}{own}"),
    ] {
        let paired = std::panic::catch_unwind(|| recipes(markdown::blocks(&unpaired)).len());
        assert!(paired.is_err(), "{unpaired}");
    }
}

/// Pairs each block of policies with the block of cases below it, under one heading, which may have a
/// configuration above both.
fn recipes(blocks: Vec<Block>) -> Vec<Recipe> {
    let mut blocks = blocks.into_iter();
    let mut recipes = Vec::new();
    while let Some(first) = blocks.next() {
        let (configuration, policies) = match first.language.as_str() {
            "yaml" => {
                let heading = first.heading.clone();
                let below = blocks.next().filter(|below| below.heading == heading);
                let line = first.line;
                let Some(below) = below else {
                    panic!("line {line}: a configuration without policies below it")
                };
                (Some(first), below)
            }
            _ => (None, first),
        };
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
        recipes.push(Recipe {
            configuration,
            policies,
            cases,
        });
    }
    recipes
}

/// The output of the command, if not all cases of the recipe are decided as expected.
fn fault(recipe: &Recipe, configuration: &str) -> Option<String> {
    let Recipe {
        configuration: own,
        policies,
        cases,
    } = recipe;
    let configuration = own.as_ref().map_or(configuration, |own| own.text.as_str());
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("thoughtgate.yaml", configuration),
        ("policies.cedar", &policies.text),
        ("cases.yaml", &cases.text),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let output = Command::new(env!("CARGO_BIN_EXE_thoughtgate"))
        .args(["test", "--config", "thoughtgate.yaml", "cases.yaml"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    let shown = format!("line {}, {}:\n{out}{err}", policies.line, policies.heading);
    (!output.status.success()).then_some(shown)
}

//! Allowed dependencies: between crates by their Cargo.toml files, within xtask by the paths that its
//! files use.

use super::{File, check, files};

/// Crates of the workspace that each crate may depend on. Dev-dependencies are free: tests of all
/// crates use the doubles of `thoughtgate-test`.
const CRATES: &[(&str, &[&str])] = &[
    ("thoughtgate-panic", &[]),
    ("thoughtgate-mcp", &[]),
    (
        "thoughtgate-policy",
        &["thoughtgate-mcp", "thoughtgate-panic"],
    ),
    (
        "thoughtgate-approval",
        &["thoughtgate-mcp", "thoughtgate-panic"],
    ),
    (
        "thoughtgate-proxy",
        &[
            "thoughtgate-mcp",
            "thoughtgate-panic",
            "thoughtgate-policy",
            "thoughtgate-approval",
        ],
    ),
    (
        "thoughtgate",
        &[
            "thoughtgate-mcp",
            "thoughtgate-panic",
            "thoughtgate-policy",
            "thoughtgate-approval",
            "thoughtgate-proxy",
        ],
    ),
    ("thoughtgate-test", &[]),
    (
        "thoughtgate-fuzz",
        &[
            "thoughtgate",
            "thoughtgate-mcp",
            "thoughtgate-policy",
            "thoughtgate-approval",
        ],
    ),
    ("xtask", &[]),
];

/// Modules of xtask's metrics that only turn data into data: no IO, no environment, no clock.
const PURE: &[&str] = &[
    "catalog",
    "model",
    "stats",
    "estimate",
    "judge",
    "render",
    "measure/ending",
    "merge/join",
    "merge/rows",
];
const IMPURE: &[&str] = &[
    "std::fs",
    "std::process",
    "std::net",
    "std::env",
    "Instant::now",
    "SystemTime::now",
];

/// Modules of `metrics` that the tiers and scenarios may use; `tools` and `interrupt` are allowed too.
const FOR_TIERS: &[&str] = &["catalog", "recorder", "context", "scenario", "subject"];
const METRICS: &str = "xtask/src/metrics/";

/// Files of the fuzz crate that judge the product. They share no code with it, since an error in shared
/// code would go unnoticed.
const ORACLES: &[&str] = &[
    "json.rs",
    "readers.rs",
    "sse.rs",
    "targets/arguments/cedar.rs",
];
const JUDGED: &[&str] = &["thoughtgate", "serde_json"];

#[test]
fn oracles_share_no_code_with_what_they_judge() {
    let mut oracles = files(".rs");
    oracles.retain(|file| {
        let path = file.path.strip_prefix("crates/thoughtgate-fuzz/src/");
        path.is_some_and(|path| ORACLES.contains(&path))
    });
    assert!(!oracles.is_empty(), "the fuzz crate has no oracle");
    check(&oracles, |file| named(&file.text, JUDGED));
}

#[test]
fn crates_depend_downwards_only() {
    check(&files("Cargo.toml"), |file| {
        let name = file
            .text
            .lines()
            .find_map(|line| line.strip_prefix("name = "));
        let name = name.unwrap_or_default().trim_matches('"');
        let Some((_, allowed)) = CRATES.iter().find(|(known, _)| *known == name) else {
            // A new crate of the product has to be given its place in the table.
            let product = file.path.starts_with("crates/");
            return if product {
                vec!["is not in the table `CRATES` of xtask/src/tidy/imports.rs".to_owned()]
            } else {
                vec![]
            };
        };
        let dependencies = dependencies(&file.text);
        let forbidden = dependencies
            .iter()
            .filter(|name| !allowed.contains(&name.as_str()));
        forbidden
            .map(|forbidden| format!("{name} must not depend on {forbidden}"))
            .collect()
    });
}

#[test]
fn pure_files_do_no_io() {
    check(&metrics_files(PURE), |file| impure(&file.text));
}

#[test]
fn tiers_use_the_catalogue_the_recorder_the_context_and_tools() {
    let tiers = metrics_files(&["tier1", "tier2", "tier3", "scenario"]);
    check(&tiers, |file| foreign_uses(&file.path, &file.text));
}

#[test]
fn one_tool_alone_names_the_process_libraries() {
    let mut others = files(".rs");
    others.retain(|file| {
        let xtask = file.path.starts_with("xtask/") && !file.path.starts_with("xtask/src/tidy");
        xtask && !file.path.starts_with("xtask/src/tools/process")
    });
    check(&others, |file| {
        let names = ["duct::", "wait_timeout"].into_iter();
        names
            .filter(|name| file.text.contains(name))
            .map(|name| format!("uses {name}, which only xtask/src/tools/process may"))
            .collect()
    });
}

#[test]
fn tools_know_nothing_of_metrics() {
    let mut tools = files(".rs");
    tools.retain(|file| file.path.starts_with("xtask/src/tools"));
    check(&tools, |file| {
        let names = ["crate::metrics", "crate::flags", "crate::exit"].into_iter();
        names
            .filter(|name| file.text.contains(name))
            .map(|name| format!("uses {name}"))
            .collect()
    });
}

#[test]
fn the_rules_find_what_they_forbid() {
    let manifest = "[package]\nname = \"x\"\n[dependencies]\nthoughtgate-mcp.workspace = true\n\
                    [target.'cfg(unix)'.dependencies]\nthoughtgate-proxy = { path = \"..\" }\n\
                    [dev-dependencies]\nthoughtgate-test.workspace = true\n";
    assert_eq!(
        dependencies(manifest),
        ["thoughtgate-mcp", "thoughtgate-proxy"]
    );
    assert_eq!(
        impure("use std::fs;\nlet x = std::env::var(\"X\");").len(),
        2
    );
    assert_eq!(impure("// std::fs is elsewhere"), Vec::<String>::new());
    assert_eq!(named("use thoughtgate_mcp::parse;", JUDGED).len(), 1);

    let uses = |text| foreign_uses("xtask/src/metrics/tier1/load.rs", text);
    assert_eq!(
        uses("use crate::metrics::{catalog, recorder::{Note, Recorder}};"),
        Vec::<String>::new()
    );
    assert_eq!(
        uses("use super::Block;\nuse super::super::context::Context;"),
        Vec::<String>::new()
    );
    assert_eq!(
        uses("use crate::tools::k6::K6;\nuse std::fs;\nuse crate::interrupt;"),
        Vec::<String>::new()
    );
    assert_eq!(uses("use super::super::{catalog, store};").len(), 1);
    assert_eq!(uses("use crate::metrics::model::Run;").len(), 1);
    assert_eq!(
        uses("    crate::metrics::store::save(path, text)?;").len(),
        1
    );
    assert_eq!(
        foreign_uses("xtask/src/metrics/tier1.rs", "use super::host;").len(),
        1
    );
}

/// The files of these modules below `metrics/`, without their tests.
fn metrics_files(modules: &[&str]) -> Vec<File> {
    let mut all = files(".rs");
    all.retain(|file| {
        let Some(path) = file.path.strip_prefix(METRICS) else {
            return false;
        };
        let of = |module: &&str| {
            path.strip_prefix(*module)
                .is_some_and(|rest| rest.starts_with(['.', '/']))
        };
        modules.iter().any(of) && !path.ends_with("tests.rs")
    });
    all
}

/// The thoughtgate crates that a manifest needs outside of tests.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut section = "";
    let mut found = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line.trim();
        } else if section.ends_with("dependencies]") && !section.contains("dev-dependencies") {
            let name = line
                .split(['.', '=', ' '])
                .next()
                .unwrap_or_default()
                .trim_matches('"');
            if name.starts_with("thoughtgate") {
                found.push(name.to_owned());
            }
        }
    }
    found
}

fn impure(text: &str) -> Vec<String> {
    named(text, IMPURE)
}

/// Those of `names` that the code uses, comments left out.
fn named(text: &str, names: &[&str]) -> Vec<String> {
    // Unit tests at the end of a file may read files.
    let code = text
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default();
    let code: String = code
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect();
    names
        .iter()
        .filter(|name| code.contains(**name))
        .map(|name| format!("uses {name}"))
        .collect()
}

/// Paths within xtask that the file of a tier uses, but must not.
fn foreign_uses(path: &str, text: &str) -> Vec<String> {
    let module = path
        .trim_start_matches("xtask/src/")
        .trim_end_matches(".rs")
        .replace('/', "::");
    // A tier may use its own submodules, such as those of `metrics::tier1`.
    let own = module.split("::").take(2).collect::<Vec<_>>().join("::");
    let code = text
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default();
    // A `use` may span lines, and ends at its semicolon.
    let named = code.split(';').flat_map(|statement| {
        let uses = statement.rsplit_once("use ").map(|(_, tree)| flatten(tree));
        uses.filter(|_| is_use(statement))
            .unwrap_or_else(|| inline_paths(statement))
    });
    named
        .filter_map(|path| absolute(&module, &path))
        .filter(|path| {
            let allowed = |prefix: &str| {
                path.strip_prefix(prefix)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
            };
            let metrics = FOR_TIERS
                .iter()
                .any(|name| allowed(&format!("metrics::{name}")));
            !(metrics || allowed(&own) || allowed("tools") || allowed("interrupt"))
        })
        .map(|path| format!("uses {path}"))
        .collect()
}

fn is_use(statement: &str) -> bool {
    let last = statement
        .lines()
        .map(str::trim)
        .find(|line| line.contains("use "));
    last.is_some_and(|line| {
        line.starts_with("use ") || line.starts_with("pub") && !line.contains("fn ")
    })
}

/// Paths that are written out in code.
fn inline_paths(statement: &str) -> Vec<String> {
    let starts = statement
        .match_indices("crate::metrics::")
        .map(|(start, _)| start);
    starts
        .map(|start| {
            let end = |c: char| !(c.is_alphanumeric() || c == '_' || c == ':');
            statement[start..]
                .split(end)
                .next()
                .unwrap_or_default()
                .to_owned()
        })
        .collect()
}

/// All paths of a use tree: `a::{b, c::{d}}` is `a::b` and `a::c::d`.
fn flatten(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((prefix, rest)) = tree.split_once('{') else {
        return vec![
            tree.split_whitespace()
                .next()
                .unwrap_or_default()
                .to_owned(),
        ];
    };
    let inner = rest.trim_end().strip_suffix('}').unwrap_or(rest);
    let mut depth = 0;
    let branches = inner.split(|c| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    });
    let branches = branches.filter(|branch| !branch.trim().is_empty());
    branches
        .flat_map(flatten)
        .map(|path| format!("{}{path}", prefix.trim()))
        .collect()
}

/// A path from the root of xtask; none for a path to another crate.
fn absolute(module: &str, path: &str) -> Option<String> {
    if let Some(rest) = path.strip_prefix("crate::") {
        return Some(rest.to_owned());
    }
    let mut base: Vec<&str> = module.split("::").collect();
    let mut rest = path;
    while let Some(outer) = rest.strip_prefix("super::") {
        base.pop();
        rest = outer;
    }
    (rest.len() < path.len()).then(|| {
        base.into_iter()
            .chain([rest])
            .collect::<Vec<_>>()
            .join("::")
    })
}

//! A check that is switched off has its reason beside it.

use super::{check, file, files};

#[test]
fn every_allow_in_a_manifest_has_a_reason() {
    check(&files("Cargo.toml"), |file| unexplained_lints(&file.text));
}

#[test]
fn every_entry_of_deny_toml_has_a_reason() {
    let deny = file("deny.toml").expect("there is a deny.toml");
    check(&[deny], |file| unexplained_entries(&file.text));
}

#[test]
fn every_allow_in_code_has_a_reason() {
    let mut others = files(".rs");
    others.retain(|file| !file.path.starts_with("xtask/src/tidy"));
    check(&others, |file| unexplained_attributes(&file.text));
}

#[test]
fn the_rules_find_what_they_forbid() {
    assert_eq!(unexplained_lints("a = \"warn\"\nb = \"allow\"\n").len(), 1);
    assert_eq!(
        unexplained_lints("# Why.\nb = \"allow\"\n"),
        Vec::<String>::new()
    );
    assert_eq!(
        unexplained_lints("b = { level = \"allow\" } # why\n"),
        Vec::<String>::new()
    );
    assert_eq!(
        unexplained_entries("allow = [\n  # Why.\n  \"MIT\",\n  \"ISC\",\n]\n").len(),
        1
    );
    let explained = "deny = [\n  { crate = \"openssl\", reason = \"rustls\" },\n]\nallow = []\n";
    assert_eq!(unexplained_entries(explained), Vec::<String>::new());
    assert_eq!(
        unexplained_attributes("#[allow(dead_code)]\nfn f() {}").len(),
        1
    );
    assert_eq!(
        unexplained_attributes("#![allow(\n    dead_code,\n)]").len(),
        1
    );
    let explained = "#[expect(dead_code, reason = \"held\")]";
    assert_eq!(unexplained_attributes(explained), Vec::<String>::new());
}

fn unexplained_lints(manifest: &str) -> Vec<String> {
    let mut before = "";
    let mut faults = Vec::new();
    for line in manifest.lines() {
        let allows = line.contains("\"allow\"") && !line.trim_start().starts_with('#');
        if allows && !before.trim_start().starts_with('#') && !line.contains('#') {
            faults.push(format!("`{line}` needs a comment with the reason"));
        }
        before = line;
    }
    faults
}

/// An entry of a list is explained by `reason`, or by a comment on its line or the one above it.
fn unexplained_entries(deny: &str) -> Vec<String> {
    let mut in_list = false;
    let mut before = "";
    let mut faults = Vec::new();
    for line in deny.lines() {
        let text = line.trim();
        if in_list && text.starts_with(['"', '{']) {
            let explained =
                text.contains("reason =") || text.contains('#') || before.starts_with('#');
            if !explained {
                faults.push(format!("`{text}` needs a reason, or a comment with it"));
            }
        }
        in_list = (in_list || text.ends_with("= [")) && !text.starts_with(']');
        before = text;
    }
    faults
}

fn unexplained_attributes(code: &str) -> Vec<String> {
    let openings = ["#[allow(", "#![allow(", "#[expect(", "#![expect("];
    let starts = openings
        .iter()
        .flat_map(|opening| code.match_indices(opening));
    starts
        .map(|(start, _)| {
            code[start..]
                .split_once(")]")
                .map_or(&code[start..], |(head, _)| head)
        })
        .filter(|attribute| !attribute.contains("reason ="))
        .map(|attribute| format!("`{attribute})]` needs `reason = \"…\"`"))
        .collect()
}

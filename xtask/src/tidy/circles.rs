//! No circle among the files of a crate: a file can then be read with nothing but the files it names, and
//! no object collects everything because everything can reach it.
//!
//! A file points at another one when it names an item that the other one defines: in a `use`, or in a path
//! that is written out. Re-exports are followed to the definition. `mod x;` is no arrow, and tests are left
//! out. Deliberately absent: methods, whose type says where they are.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::{Attribute, Item, UseTree};

use super::{File, files};

/// How many re-exports are followed; a circle of those must not hang the test.
const STEPS_MAX: usize = 16;

#[test]
fn no_file_needs_a_file_that_needs_it() {
    let all = files(".rs");
    let roots = all.iter().filter(|file| is_root(&file.path));
    let faults: Vec<String> = roots.flat_map(|root| circles(&all, &root.path)).collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn the_rule_finds_circles_and_no_more() {
    let found = |files: &[(&str, &str)]| {
        let files: Vec<File> = files
            .iter()
            .map(|(path, text)| File {
                path: (*path).to_owned(),
                text: (*text).to_owned(),
            })
            .collect();
        circles(&files, "src/lib.rs")
    };
    let root = ("src/lib.rs", "mod a;\nmod b;\npub use a::A;");
    // In uses, through a re-export, and in a path that is written out.
    for b in [
        "use crate::a::A;\npub struct B(A);",
        "use super::A;\npub struct B(A);",
        "use crate::a;\npub struct B(a::A);",
        "pub fn b() { assert!(crate::a::f()); }\npub struct B;",
    ] {
        let a = (
            "src/a.rs",
            "use crate::b::B;\npub struct A(B);\npub fn f() -> bool { true }",
        );
        let circles = found(&[root, a, ("src/b.rs", b)]);
        assert_eq!(circles.len(), 1, "{b}: {circles:?}");
        assert!(circles[0].contains("src/a.rs -> src/b.rs"), "{circles:?}");
    }
    // A parent that defines what its child needs, and calls it.
    let parent = (
        "src/lib.rs",
        "mod a;\npub struct P;\npub fn f() { a::g(); }",
    );
    let child = ("src/a.rs", "use super::P;\npub fn g() -> P { P }");
    assert_eq!(found(&[parent, child]).len(), 1);
    // A chain, tests, comments and strings are none.
    let a = ("src/a.rs", "use crate::b::B;\npub struct A(B);");
    for b in [
        "pub struct B;\n#[cfg(test)]\nmod tests { use crate::a::A; }",
        "pub struct B; // crate::a::A",
        "pub struct B;\npub const S: &str = \"crate::a::A\";",
    ] {
        assert_eq!(
            found(&[root, a, ("src/b.rs", b)]),
            Vec::<String>::new(),
            "{b}"
        );
    }
}

/// Whether a file is the root of a crate's module tree.
fn is_root(path: &str) -> bool {
    !path.contains("/tests/")
        && !path.contains("benches/")
        && (path.ends_with("src/lib.rs") || path.ends_with("src/main.rs"))
}

/// A module of a crate; several may be in one file.
#[derive(Default)]
struct Module {
    /// From the crate's root.
    path: Vec<String>,
    /// The file that it is in.
    file: String,
    children: BTreeMap<String, usize>,
    /// The names of its items.
    items: BTreeSet<String>,
    /// Paths of the names that it imports, from the crate's root.
    imports: BTreeMap<String, Vec<String>>,
    /// The modules of which it imports everything.
    globs: Vec<Vec<String>>,
    /// Paths that are written out in its code, as they are written.
    paths: Vec<Vec<String>>,
}

/// Target of a path.
enum Found {
    Module(usize),
    Item(usize),
}

/// The circles among the files of the crate with this root, each as a line with its arrows.
fn circles(files: &[File], root: &str) -> Vec<String> {
    let mut modules = Vec::new();
    read(files, root, &[], &mut modules);
    let mut arrows: BTreeSet<(&str, &str)> = BTreeSet::new();
    for module in &modules {
        let imported = module.imports.values();
        let written = module.paths.iter();
        let written: Vec<Vec<String>> = written.filter_map(|path| absolute(module, path)).collect();
        for path in imported.chain(&written) {
            // An import of a module is no arrow by itself; what is used of the module is a path of its own.
            if let Some(Found::Item(found)) = resolve(&modules, path, STEPS_MAX) {
                arrows.insert((&module.file, &modules[found].file));
            }
        }
        for path in &module.globs {
            if let Some(Found::Module(found)) = resolve(&modules, path, STEPS_MAX) {
                arrows.insert((&module.file, &modules[found].file));
            }
        }
    }
    arrows.retain(|(from, to)| from != to);
    let reached = |start: &str| -> BTreeSet<&str> {
        let mut reached = BTreeSet::new();
        let mut open = vec![start];
        while let Some(file) = open.pop() {
            for (_, to) in arrows.iter().filter(|(from, _)| *from == file) {
                if reached.insert(*to) {
                    open.push(to);
                }
            }
        }
        reached
    };
    let all: BTreeSet<&str> = arrows.iter().map(|(from, _)| *from).collect();
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        all.iter().map(|file| (*file, reached(file))).collect();
    let both = |one: &str, other: &str| {
        let leads = |from: &str, to: &str| reached.get(from).is_some_and(|all| all.contains(to));
        leads(one, other) && leads(other, one)
    };
    let mut told = BTreeSet::new();
    let mut circles = Vec::new();
    for file in &all {
        if !both(file, file) || told.contains(file) {
            continue;
        }
        let members: Vec<&str> = all
            .iter()
            .copied()
            .filter(|other| both(file, other))
            .collect();
        let within = arrows
            .iter()
            .filter(|(from, to)| members.contains(from) && members.contains(to));
        let within: Vec<String> = within.map(|(from, to)| format!("{from} -> {to}")).collect();
        circles.push(format!("circle: {}", within.join(", ")));
        told.extend(members);
    }
    circles
}

/// Reads the module in a file, and those below it.
fn read(files: &[File], path: &str, module: &[String], modules: &mut Vec<Module>) -> usize {
    let text = files.iter().find(|file| file.path == path);
    // A file that is not found has no items; the compiler reports it better.
    let text = text.map_or("", |file| file.text.as_str());
    let parsed = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
    take(files, path, module, parsed.items, modules)
}

/// Takes the items of a module.
fn take(
    files: &[File],
    file: &str,
    path: &[String],
    items: Vec<Item>,
    modules: &mut Vec<Module>,
) -> usize {
    let index = modules.len();
    // Pushed before its children, so that the root of the crate is module 0, where `resolve` begins.
    modules.push(Module {
        path: path.to_vec(),
        file: file.to_owned(),
        ..Module::default()
    });
    let mut trees = Vec::new();
    for item in items {
        match item {
            Item::Mod(child) if !is_test(&child.attrs) => {
                let name = child.ident.to_string();
                let inner = [path, std::slice::from_ref(&name)].concat();
                let taken = match child.content {
                    Some((_, items)) => take(files, file, &inner, items, modules),
                    None => read(files, &file_of(file, &name), &inner, modules),
                };
                modules[index].children.insert(name, taken);
            }
            Item::Use(item) if !is_test(&item.attrs) => trees.push(item.tree),
            item => define(&item, &mut modules[index]),
        }
    }
    // Which names are modules is known only now.
    for tree in &trees {
        for (name, written) in leaves(tree, &[]) {
            let Some(target) = absolute(&modules[index], &written) else {
                continue;
            };
            if name == "*" {
                modules[index].globs.push(target);
            } else {
                modules[index].imports.insert(name, target);
            }
        }
    }
    index
}

/// The file of `mod name;` in a file.
fn file_of(parent: &str, name: &str) -> String {
    let (folder, stem) = parent.rsplit_once('/').unwrap_or(("", parent));
    match stem {
        "lib.rs" | "main.rs" | "mod.rs" => format!("{folder}/{name}.rs"),
        stem => format!("{folder}/{}/{name}.rs", stem.trim_end_matches(".rs")),
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let text = attribute.to_token_stream().to_string();
        text.contains("cfg (test)") || text == "# [test]"
    })
}

/// Takes the name of an item, and the paths in it.
fn define(item: &Item, module: &mut Module) {
    let (attributes, name) = match item {
        Item::Const(item) => (&item.attrs, Some(&item.ident)),
        Item::Enum(item) => (&item.attrs, Some(&item.ident)),
        Item::Fn(item) => (&item.attrs, Some(&item.sig.ident)),
        Item::Impl(item) => (&item.attrs, None),
        Item::Macro(item) => (&item.attrs, item.ident.as_ref()),
        Item::Static(item) => (&item.attrs, Some(&item.ident)),
        Item::Struct(item) => (&item.attrs, Some(&item.ident)),
        Item::Trait(item) => (&item.attrs, Some(&item.ident)),
        Item::Type(item) => (&item.attrs, Some(&item.ident)),
        Item::Union(item) => (&item.attrs, Some(&item.ident)),
        // Modules and uses are taken by the caller; other items define no name.
        _ => return,
    };
    if is_test(attributes) {
        return;
    }
    module.items.extend(name.map(ToString::to_string));
    written_out(item.to_token_stream(), &mut module.paths);
}

/// The paths of two names or more in code, macros included.
fn written_out(tokens: TokenStream, paths: &mut Vec<Vec<String>>) {
    let mut path: Vec<String> = Vec::new();
    let mut colons = 0;
    for token in tokens {
        match token {
            TokenTree::Ident(name) => {
                // The tokens of `a::b` are `a`, two colons, and `b`.
                if colons != 2 {
                    finish(&mut path, paths);
                }
                path.push(name.to_string());
                colons = 0;
            }
            TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
            TokenTree::Group(group) => {
                finish(&mut path, paths);
                colons = 0;
                // `pub(in a::b)` names a place, and nothing that is needed.
                let inner = group.stream();
                let is_place = inner
                    .clone()
                    .into_iter()
                    .next()
                    .is_some_and(|first| first.to_string() == "in");
                if !is_place {
                    written_out(inner, paths);
                }
            }
            _ => {
                finish(&mut path, paths);
                colons = 0;
            }
        }
    }
    finish(&mut path, paths);
}

fn finish(path: &mut Vec<String>, paths: &mut Vec<Vec<String>>) {
    let path = std::mem::take(path);
    if path.len() > 1 {
        paths.push(path);
    }
}

/// The names that a use tree brings in, and the paths that they stand for.
fn leaves(tree: &UseTree, before: &[String]) -> Vec<(String, Vec<String>)> {
    let with = |name: String| [before, &[name]].concat();
    match tree {
        UseTree::Path(path) => leaves(&path.tree, &with(path.ident.to_string())),
        UseTree::Name(name) if name.ident == "self" => {
            let last = before.last().cloned().unwrap_or_default();
            vec![(last, before.to_vec())]
        }
        UseTree::Name(name) => vec![(name.ident.to_string(), with(name.ident.to_string()))],
        UseTree::Rename(rename) if rename.ident == "self" => {
            vec![(rename.rename.to_string(), before.to_vec())]
        }
        UseTree::Rename(rename) => {
            vec![(rename.rename.to_string(), with(rename.ident.to_string()))]
        }
        UseTree::Glob(_) => vec![("*".to_owned(), before.to_vec())],
        UseTree::Group(group) => group
            .items
            .iter()
            .flat_map(|item| leaves(item, before))
            .collect(),
    }
}

/// A path from the crate's root; none for a path into another crate.
fn absolute(module: &Module, path: &[String]) -> Option<Vec<String>> {
    let first = path.first()?;
    let mut base = module.path.clone();
    match first.as_str() {
        "crate" => Some(path[1..].to_vec()),
        "self" => Some([base, path[1..].to_vec()].concat()),
        "super" => {
            let outwards = path.iter().take_while(|name| *name == "super").count();
            base.truncate(base.len().checked_sub(outwards)?);
            Some([base, path[outwards..].to_vec()].concat())
        }
        name => {
            let is_known = module.children.contains_key(name)
                || module.items.contains(name)
                || module.imports.contains_key(name);
            is_known.then(|| [base, path.to_vec()].concat())
        }
    }
}

/// Target of a path from the crate's root.
fn resolve(modules: &[Module], path: &[String], steps: usize) -> Option<Found> {
    let steps = steps.checked_sub(1)?;
    let mut current = 0;
    for (place, name) in path.iter().enumerate() {
        let module = &modules[current];
        if let Some(child) = module.children.get(name) {
            current = *child;
            continue;
        }
        if module.items.contains(name) {
            return Some(Found::Item(current));
        }
        let rest = &path[place + 1..];
        if let Some(import) = module.imports.get(name) {
            return resolve(modules, &[import, rest].concat(), steps);
        }
        return module
            .globs
            .iter()
            .find_map(|glob| resolve(modules, &[glob, &path[place..]].concat(), steps));
    }
    Some(Found::Module(current))
}

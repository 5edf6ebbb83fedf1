//! Rules for every Rust file: it says what it is, stays short, and leaves nothing undone.

use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{Block, ImplItemFn, ItemFn, Signature, TraitItemFn};

use super::{File, check, files};

const LONGEST_LINES: usize = 400;
/// Higher for tests: their files are lists to look things up in, and nobody reads them as a whole.
const LONGEST_TESTS_LINES: usize = 600;
/// A function is read as a whole: it fits on a screen.
const LONGEST_FUNCTION_LINES: usize = 70;
/// Functions that are a table, of which each row is read by itself.
const TABLES: &[&str] = &[
    "crates/thoughtgate-mcp/src/envelope/tests.rs",
    "crates/thoughtgate/tests/it/refusals.rs",
    "crates/thoughtgate/tests/it/mistakes.rs",
    "crates/thoughtgate-test/tests/it/mock_slack.rs",
];

#[test]
fn every_file_says_what_it_is_and_stays_short() {
    check(&files(".rs"), |file| {
        let longest = if file.path.contains("/tests/") || file.path.ends_with("tests.rs") {
            LONGEST_TESTS_LINES
        } else {
            LONGEST_LINES
        };
        head_and_length(&file.text, longest)
    });
}

#[test]
fn every_function_fits_on_a_screen() {
    let mut others = files(".rs");
    others.retain(|file| !TABLES.contains(&file.path.as_str()));
    check(&others, |file| {
        long_functions(&file.text, LONGEST_FUNCTION_LINES)
    });
}

#[test]
fn nothing_is_left_undone_ignored_or_unsafe() {
    // The files of `tidy` contain the forbidden words themselves.
    let others: Vec<File> = files(".rs")
        .into_iter()
        .filter(|file| !file.path.starts_with("xtask/src/tidy"))
        .collect();
    check(&others, |file| undone(&file.text));
}

#[test]
fn the_product_cannot_panic_at_a_closed_stderr_or_go_on_behind_a_poisoned_lock() {
    let mut product = files(".rs");
    product.retain(|file| {
        let of_a_tool = ["panic", "test", "fuzz"].map(|name| format!("crates/thoughtgate-{name}/"));
        let path = &file.path;
        path.starts_with("crates/")
            && path.contains("/src/")
            && !path.ends_with("tests.rs")
            && !of_a_tool.iter().any(|of| path.starts_with(of.as_str()))
            // Its lock holds a pool of connections, each of which is checked before it is used.
            && path != "crates/thoughtgate-proxy/src/upstream.rs"
    });
    check(&product, |file| unguarded(&file.text));
}

#[test]
fn no_command_panics_at_a_standard_error_that_cannot_be_written() {
    let mut commands = files(".rs");
    commands.retain(|file| {
        let path = &file.path;
        path.starts_with("xtask/src/")
            && !path.starts_with("xtask/src/tidy")
            && path != "xtask/src/say.rs"
            && !path.ends_with("tests.rs")
    });
    check(&commands, |file| printing(&file.text));
}

#[test]
fn the_rules_find_what_they_forbid() {
    assert_eq!(printing("    eprintln!(\"x\");\n    dbg!(x);").len(), 2);
    assert_eq!(printing("    say!(\"x\");"), Vec::<String>::new());
    assert_eq!(unguarded("    eprintln!(\"x\");").len(), 1);
    assert_eq!(
        unguarded("book.lock().unwrap_or_else(PoisonError::into_inner)").len(),
        1
    );
    let fine = "warn!(\"x\"); lock(&book);\n#[cfg(test)]\nmod tests {\n    println!();";
    assert_eq!(unguarded(fine), Vec::<String>::new());
    assert_eq!(head_and_length("use std::fs;\n", 400).len(), 1);
    assert_eq!(
        head_and_length("//! What it is.\n", 400),
        Vec::<String>::new()
    );
    assert_eq!(head_and_length("//!\n\nfn main() {}\n", 400).len(), 1);
    assert_eq!(
        head_and_length(&format!("//! Long.\n{}", "//\n".repeat(400)), 400).len(),
        1
    );
    let long = |lines: usize| format!("fn f() {{\n{}}}", "    g();\n".repeat(lines));
    assert_eq!(long_functions(&long(71), 70).len(), 1);
    let method = format!("impl X {{ {} }}", long(71));
    assert_eq!(long_functions(&method, 70).len(), 1);
    assert_eq!(long_functions(&long(68), 70), Vec::<String>::new());
    let bad = [
        "    todo!()",
        "unimplemented!(\"later\")",
        "#[ignore]",
        "#[ignore = \"slow\"]",
        "// FIXME: later",
        "// TODO later",
        "unsafe { x() }",
        "unsafe fn f() {}",
    ];
    for line in bad {
        assert_eq!(undone(line).len(), 1, "{line}");
    }
    for line in [
        "// it is unsafe to guess",
        "let todos = 1;",
        "ignored += 1;",
    ] {
        assert_eq!(undone(line), Vec::<String>::new(), "{line}");
    }
}

fn head_and_length(text: &str, longest_lines: usize) -> Vec<String> {
    let mut faults = Vec::new();
    let says = text
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("//! "));
    if says.is_none_or(str::is_empty) {
        faults.push("must start with `//! ` and a sentence on what it is".to_owned());
    }
    let lines = text.lines().count();
    if lines > longest_lines {
        faults.push(format!(
            "has {lines} lines, more than {longest_lines}: split it by noun"
        ));
    }
    faults
}

/// Functions of more lines, signature and braces included.
fn long_functions(text: &str, longest_lines: usize) -> Vec<String> {
    struct Functions {
        longest_lines: usize,
        faults: Vec<String>,
    }
    impl Functions {
        fn look_at(&mut self, signature: &Signature, block: &Block) {
            let (first, last) = (signature.span().start(), block.span().end());
            let lines = last.line + 1 - first.line;
            if lines > self.longest_lines {
                let name = &signature.ident;
                self.faults.push(format!(
                    "`{name}` has {lines} lines, more than {}: split it",
                    self.longest_lines
                ));
            }
        }
    }
    impl<'a> Visit<'a> for Functions {
        fn visit_item_fn(&mut self, function: &'a ItemFn) {
            self.look_at(&function.sig, &function.block);
            visit::visit_item_fn(self, function);
        }
        fn visit_impl_item_fn(&mut self, function: &'a ImplItemFn) {
            self.look_at(&function.sig, &function.block);
            visit::visit_impl_item_fn(self, function);
        }
        fn visit_trait_item_fn(&mut self, function: &'a TraitItemFn) {
            if let Some(block) = &function.default {
                self.look_at(&function.sig, block);
            }
            visit::visit_trait_item_fn(self, function);
        }
    }
    let mut functions = Functions {
        longest_lines,
        faults: Vec::new(),
    };
    let parsed = syn::parse_file(text);
    functions.visit_file(&parsed.unwrap_or_else(|error| panic!("not Rust: {error}")));
    functions.faults
}

/// Uses of what `thoughtgate-panic` replaces, unit tests left out.
fn unguarded(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]\nmod tests").next();
    let code = code.unwrap_or_default();
    ["println!", "PoisonError"]
        .into_iter()
        .filter(|word| code.contains(word))
        .map(|word| format!("`{word}`: use `thoughtgate_panic` (warn!, lock, read, write)"))
        .collect()
}

/// Uses of macros that panic when they cannot write, unit tests left out.
fn printing(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]\nmod tests").next();
    let code = code.unwrap_or_default();
    ["print!(", "println!(", "dbg!("]
        .into_iter()
        .filter(|word| code.contains(word))
        .map(|word| format!("`{word}…)`: use `say!` for standard error, `exit::print` for results"))
        .collect()
}

fn undone(text: &str) -> Vec<String> {
    let macros = [
        "todo!",
        "unimplemented!",
        "#[ignore",
        "FIXME",
        "TODO",
        "XXX",
    ];
    let unsafety = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"];
    let found = |line: &str| {
        // A comment may use the word `unsafe`, but no mark of unfinished work.
        let code = line.split("//").next().unwrap_or_default();
        macros
            .iter()
            .find(|word| line.contains(**word))
            .or_else(|| unsafety.iter().find(|word| code.contains(**word)))
            .copied()
    };
    text.lines()
        .enumerate()
        .filter_map(|(index, line)| Some(format!("line {}: `{}`", index + 1, found(line)?)))
        .collect()
}

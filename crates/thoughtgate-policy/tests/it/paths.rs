//! Arguments that policies compare with paths, in every form of policy.

use crate::{call, engine, load, word};

/// A permit of everything and one policy with `condition`.
fn with(effect: &str, condition: &str) -> thoughtgate_policy::Engine {
    engine(&format!(
        "permit (principal, action == Action::\"tools/call\", resource == Tool::\"other\");\n\
         {effect} (principal, action == Action::\"tools/call\", resource == Tool::\"t\") {condition};"
    ))
}

#[test]
fn a_permitted_folder_is_what_is_in_it() {
    for (pattern, inside, outside) in [
        ("/srv/*", "/srv/a/.b/c..d", "/srv/../etc/passwd"),
        ("/srv/*", "/srv/100% a", "/srv/%2e%2e/etc"),
        ("~/*", "~/a", "~/../bob/a"),
        ("file:///srv/*", "file:///srv/a", "file:///srv/./../etc"),
        ("file:///srv/*", "file:///srv/a", "file:///srv//a"),
        ("/srv/*.txt", "/srv/a.txt", "/srv/a\\\\b.txt"),
        ("/srv/*", "/srv/a", "/srv/a\\u0000b"),
    ] {
        let condition =
            format!("when {{ context.arguments has p && context.arguments.p like \"{pattern}\" }}");
        let engine = with("permit", &condition);
        let argument = |path: &str| format!("{{\"p\": \"{path}\"}}");
        assert_eq!(call(&engine, "t", &argument(inside)), "forward", "{inside}");
        assert_eq!(call(&engine, "t", &argument(outside)), "error", "{outside}");
        assert_eq!(
            call(&engine, "other", &argument(outside)),
            "forward",
            "not read there"
        );
    }
}

#[test]
fn every_form_of_policy_is_followed_to_the_argument() {
    let p = "context.arguments.p";
    let has = "context.arguments has p && context.arguments has q";
    for (effect, condition) in [
        ("forbid", format!("when {{ {has} && {p} like \"/etc/*\" }}")),
        (
            "permit",
            format!("when {{ {has} }} unless {{ {has} && {p} like \"/etc/*\" }}"),
        ),
        (
            "permit",
            format!("when {{ {has} && !({p} like \"/etc/*\") }}"),
        ),
        (
            "permit",
            format!("when {{ {has} && ({p} like \"x*\" || {p} like \"/etc/*\") }}"),
        ),
        (
            "permit",
            format!(
                "when {{ {has} && (if resource == Tool::\"t\" then {p} else context.arguments.q) \
                 like \"/etc/*\" }}"
            ),
        ),
        (
            "permit",
            format!("when {{ {has} && {{path: {p}}}.path like \"/etc/*\" }}"),
        ),
        (
            "permit",
            format!(
                "when {{ {has} && (if resource == Tool::\"t\" then {{path: {p}}} else {{path: \"x\"}})\
                 .path like \"/etc/*\" }}"
            ),
        ),
        (
            "forbid",
            format!("when {{ {has} && {p} == \"/etc/passwd\" }}"),
        ),
        (
            "permit",
            format!("when {{ {has} && [\"x\", \"/etc/passwd\"].contains({p}) }}"),
        ),
        ("permit", format!("when {{ {has} && {p} like \"file:*\" }}")),
    ] {
        let engine = with(effect, &condition);
        let refused = call(&engine, "t", r#"{"p": "/etc/../x", "q": ""}"#);
        assert_eq!(refused, "error", "{condition}");
        let plain = call(&engine, "t", r#"{"p": "/etc/a", "q": ""}"#);
        assert_ne!(plain, "error", "{condition}");
    }
}

#[test]
fn a_path_that_every_request_is_refused_for_is_refused_at_load() {
    let p = "context.arguments has p && context.arguments.p";
    let resource = "principal, action == Action::\"resources/read\", resource";
    for (condition, expected) in [
        (format!("{p} like \"FILE:*\""), "\"FILE:*\""),
        (format!("{p} like \"file:/etc/*\""), "\"file:/etc/*\""),
        (
            format!("{p} like \"file://host/*\""),
            "not begin with `file:///`",
        ),
        (
            format!("{p} like \"/srv/../etc/*\""),
            "a `.` or `..` segment",
        ),
        (format!("{p} == \"/etc//passwd\""), "contains `//`"),
        (
            "context.arguments has p && ![\"a\", \"~/%61\"].contains(context.arguments.p)"
                .to_owned(),
            "percent-encoding",
        ),
    ] {
        let scope = "principal, action == Action::\"tools/call\", resource";
        refused(
            &format!("permit ({scope}) when {{ {condition} }};"),
            expected,
        );
    }
    for condition in [
        "when { resource.uri like \"file:/etc/*\" }",
        "unless { resource.uri == \"FILE:///etc/passwd\" }",
        "when { resource == Resource::\"file:///etc/./passwd\" }",
        "when { resource in [Resource::\"file:///a\", Resource::\"file://host/a\"] }",
    ] {
        refused(
            &format!("forbid ({resource}) {condition};"),
            "which no request can have",
        );
    }
    refused(
        &format!("forbid ({resource} == Resource::\"file:/etc/passwd\");"),
        "test.cedar:1:68: policy `policy0@test.cedar` names `Resource::\"file:/etc/passwd\"`",
    );
    for pattern in [
        "/srv/.*",
        "/srv/..a*",
        "file:*",
        "file:/*",
        "file:///*",
        "/a b *",
        "~*",
        "*//*",
    ] {
        with("permit", &format!("when {{ {p} like \"{pattern}\" }}"));
    }
}

fn refused(policy: &str, expected: &str) {
    let error = load(policy).err().expect(policy).to_string();
    assert!(
        error.starts_with("test.cedar:1:") && error.contains(expected),
        "{policy}: {error}"
    );
}

#[test]
fn nested_arguments_and_elements() {
    let engine = with(
        "permit",
        "when { context.arguments has a.b.path && context.arguments.a.b.path like \"/x/*\" && \
         context.arguments has all && !context.arguments.all.contains(\"/etc/passwd\") }",
    );
    let arguments = |path: &str, element: &str| {
        format!("{{\"a\": {{\"b\": {{\"path\": \"{path}\"}}}}, \"all\": [\"{element}\"]}}")
    };
    assert_eq!(call(&engine, "t", &arguments("/x/a", "/etc")), "forward");
    assert_eq!(call(&engine, "t", &arguments("/x/../a", "/etc")), "error");
    assert_eq!(
        call(&engine, "t", &arguments("/x/a", "/etc/./passwd")),
        "error"
    );
}

#[test]
fn texts_that_are_not_paths_are_left_alone() {
    let engine = with(
        "permit",
        "when { context.arguments has p && context.arguments.p like \"*..*\" }",
    );
    let text = r#"{"p": "a/../b//c\\d%20 and so on ..."}"#;
    assert_eq!(call(&engine, "t", text), "forward");
}

#[test]
fn the_refusal_names_the_argument_and_not_its_value() {
    let engine = with(
        "permit",
        "when { context.arguments has p && context.arguments.p like \"/srv/*\" }",
    );
    let decision = crate::ask(
        &engine,
        "alice",
        thoughtgate_policy::Target::Tool("t"),
        r#"{"p": "/srv/../s3cret"}"#,
    );
    assert_eq!(word(&decision), "error");
    let error = decision.error.unwrap();
    assert!(
        error.contains("argument `p`") && error.contains("`..`"),
        "{error}"
    );
    assert!(!error.contains("s3cret"), "{error}");
}

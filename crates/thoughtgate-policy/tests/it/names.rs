//! Names of tools and prompts, and URIs of resources, as strings that policies compare.

use expect_test::expect;
use thoughtgate_policy::Target;

use crate::{ask, call, engine, load, word};

#[test]
fn tools_are_named_by_prefix() {
    let engine = engine(
        r#"@id("all") permit (principal, action == Action::"tools/call", resource) when { resource.name like "db_*" };
           @id("no drop") forbid (principal, action == Action::"tools/call", resource) when { resource.name like "*_drop" };
           @id("n") permit (principal, action == Action::"tools/call", resource)
             when { ["list", "get"].contains(resource.name) && context.arguments has n && context.arguments.n < 5 };
           @id("same") permit (principal, action == Action::"tools/call", resource)
             when { context.arguments has tool && context.arguments.tool == resource.name };"#,
    );
    for (tool, arguments, expected) in [
        ("db_read", "", "forward"),
        ("db_", "", "forward"),
        ("db_drop", "", "reject"),
        ("xdb_read", "", "reject"),
        ("DB_read", "", "reject"),
        ("get", "{\"n\": 4}", "forward"),
        ("get", "{\"n\": 5}", "reject"),
        ("put", "{\"n\": 4}", "reject"),
        ("put", "{\"tool\": \"put\"}", "forward"),
        ("put", "{\"tool\": \"get\"}", "reject"),
    ] {
        // Asked for twice, so that the answer comes from the cache, too.
        for _ in 0..2 {
            assert_eq!(
                call(&engine, tool, arguments),
                expected,
                "{tool} {arguments}"
            );
        }
    }
    assert!(engine.may_call("alice", "db_read") && engine.may_call("alice", "other"));
    assert!(!engine.may_call("alice", "db_drop"));
}

#[test]
fn prompts_and_resources_have_attributes_too() {
    let engine = engine(
        r#"permit (principal, action == Action::"prompts/get", resource) when { resource.name like "db_*" };
           permit (principal, action == Action::"resources/read", resource) when { resource.uri like "db://*" };
           permit (principal, action, resource) when { resource has uri && resource.uri == "db:x" };"#,
    );
    let decide = |target| word(&ask(&engine, "alice", target, ""));
    let read = |uri| Target::Resource {
        method: "resources/read",
        uri,
    };
    assert_eq!(decide(Target::Prompt("db_x")), "forward");
    assert_eq!(decide(Target::Prompt("x")), "reject");
    assert_eq!(decide(read("db://x")), "forward");
    assert_eq!(decide(read("db:x")), "forward");
    assert_eq!(decide(read("http://x")), "reject");
    let other = Target::Resource {
        method: "resources/subscribe",
        uri: "db://x",
    };
    assert_eq!(decide(other), "reject");
    assert_eq!(decide(Target::Method("made/up")), "reject");
}

#[test]
fn a_uri_that_is_compared_with_a_path_has_one_reading() {
    let engine = engine(
        r#"permit (principal, action == Action::"resources/read", resource) when { resource.uri like "file:///srv/*" };
           permit (principal, action == Action::"resources/read", resource) when { resource.uri like "http://*" };"#,
    );
    let read = |uri| {
        ask(
            &engine,
            "alice",
            Target::Resource {
                method: "resources/read",
                uri,
            },
            "",
        )
    };
    for (uri, expected) in [
        ("file:///srv/a", "forward"),
        ("file:///etc/passwd", "reject"),
        ("http://x//a/../b%2f", "forward"),
        ("file:///srv/../etc/passwd", "error"),
        ("file:///srv/%2e%2e/etc/passwd", "error"),
        ("FILE:///srv/a", "error"),
        (" file:///srv/a", "error"),
    ] {
        assert_eq!(word(&read(uri)), expected, "{uri}");
    }
    let error = read("file:///srv/../etc/passwd").error.unwrap();
    expect!["the resource's URI is read as a path by policies and contains a `.` or `..` segment, so that a server could read it as a different path; send the plain path"].assert_eq(&error);
}

/// Refused decisions about these spellings of `/etc/passwd`, and of no other file.
const SPELLINGS: [&str; 12] = [
    "file:///etc/./passwd",
    "file:///x/../etc/passwd",
    "file:///etc//passwd",
    "file:///etc/%70asswd",
    "FILE:///etc/passwd",
    "file:/etc/passwd",
    "file:etc/passwd",
    "file://localhost/etc/passwd",
    "file:///etc/passwd?",
    "file:///etc/passwd#x",
    "/etc/passwd",
    "etc/passwd",
];

#[test]
fn a_file_that_is_named_in_any_way_is_refused_in_every_spelling() {
    let uri = "file:///etc/passwd";
    for policy in [
        format!("resource == Resource::\"{uri}\")"),
        format!("resource) when {{ resource == Resource::\"{uri}\" }}"),
        format!("resource) when {{ !(resource != Resource::\"{uri}\") }}"),
        format!("resource) when {{ resource in [Resource::\"db:x\", Resource::\"{uri}\"] }}"),
        format!("resource) when {{ [Resource::\"{uri}\"].contains(resource) }}"),
        format!("resource) unless {{ resource != Resource::\"{uri}\" }}"),
        format!("resource is Resource) when {{ resource.uri == \"{uri}\" }}"),
        format!("resource) when {{ [\"{uri}\"].contains(resource.uri) }}"),
        "resource) when { resource.uri like \"file:///etc/*\" }".to_owned(),
    ] {
        let engine = engine(&format!(
            "permit (principal, action, resource);\n\
             forbid (principal == Agent::\"alice\", action == Action::\"resources/read\", {policy};"
        ));
        let decide =
            |agent, method, uri| word(&ask(&engine, agent, Target::Resource { method, uri }, ""));
        let read = |uri| decide("alice", "resources/read", uri);
        assert_eq!(read(uri), "reject", "{policy}");
        for other in [
            "file:///etc/hostname2/x",
            "file:///etc2",
            "http://x//a/../b%2f#c",
        ] {
            assert_ne!(read(other), "error", "{policy}: {other}");
        }
        for spelling in SPELLINGS {
            assert_eq!(read(spelling), "error", "{policy}: {spelling}");
            assert_eq!(
                decide("bob", "resources/read", spelling),
                "forward",
                "{policy}"
            );
            assert_eq!(
                decide("alice", "resources/subscribe", spelling),
                "forward",
                "{policy}"
            );
        }
    }
}

#[test]
fn plain_paths_as_uris_and_names() {
    let engine = engine(
        r#"permit (principal, action, resource);
           forbid (principal, action == Action::"resources/read", resource == Resource::"/etc/passwd");
           forbid (principal, action == Action::"prompts/get", resource == Prompt::"/admin");
           forbid (principal, action == Action::"tools/call", resource == Tool::"/admin");"#,
    );
    let decide = |target| word(&ask(&engine, "alice", target, ""));
    let read = |uri| Target::Resource {
        method: "resources/read",
        uri,
    };
    for (target, expected) in [
        (read("/etc/passwd"), "reject"),
        (read("/etc//passwd"), "error"),
        (read("/srv/a"), "forward"),
        (read("db://x//y"), "forward"),
        (Target::Prompt("/admin"), "reject"),
        (Target::Prompt("/./admin"), "error"),
        (Target::Tool("/%61dmin"), "error"),
        (Target::Tool("admin"), "forward"),
    ] {
        assert_eq!(decide(target), expected, "{target:?}");
    }
    let error = crate::engine(
        r#"permit (principal, action, resource);
           forbid (principal, action == Action::"resources/read", resource == Resource::"file:///a");"#,
    );
    let error = ask(&error, "alice", read("/s3cret"), "").error.unwrap();
    expect!["the resource's URI has no scheme, and policies compare it with `file:` URIs, so that a server could read it as a path that they name otherwise; send a `file:///` URI"].assert_eq(&error);
}

#[test]
fn mistakes_are_refused() {
    for (text, expected) in [
        (
            r#"@id("p") permit (principal, action, resource) when { resource.name like "db_*" };"#,
            "attribute `name` on entity type",
        ),
        (
            r#"@id("p") permit (principal, action == Action::"tools/call", resource) when { resource.uri like "db_*" };"#,
            "attribute `uri` on entity type",
        ),
        (
            r#"@id("p") permit (principal, action == Action::"tools/call", resource) when { resource.name > 5 };"#,
            "for policy `p`",
        ),
        (
            r#"@id("p") permit (principal, action == Action::"tools/call", resource == Tool::"db_*");"#,
            "or compare with a pattern in a condition: `resource.name like \"db_*\"`",
        ),
        (
            r#"@id("p") permit (principal, action == Action::"tools/call", resource) when { resource.name == "db_*" };"#,
            "test.cedar:1:95: policy `p` names `\"db_*\"`, which contains `*`, but names are matched literally",
        ),
        (
            r#"@id("p") permit (principal, action == Action::"prompts/get", resource) unless { "db_*" != resource.name };"#,
            "`resource.name like \"db_*\"`",
        ),
        (
            r#"@id("p") permit (principal, action == Action::"tools/call", resource) when { context.arguments has a && (if context.arguments.a == "x" then ["a", "db_*"] else []).contains(resource.name) };"#,
            "`resource.name like \"db_*\"`",
        ),
        (
            r#"@id("p") permit (principal, action == Action::"resources/read", resource) when { resource.uri == "db:*" };"#,
            "`resource.uri like \"db:*\"`",
        ),
        (
            r#"@id("p") permit (principal, action == Action::"resources/read", resource == Resource::"db:*");"#,
            "`resource.uri like \"db:*\"`",
        ),
        (
            r#"@id("p") permit (principal, action == Action::"prompts/get", resource == Prompt::"db_*");"#,
            "`resource.name like \"db_*\"`",
        ),
    ] {
        let error = load(text).err().expect(text).to_string();
        assert!(
            error.starts_with("test.cedar:1:") && error.contains(expected),
            "{error}"
        );
    }
    // The way out for a name that has a star.
    let starred = engine(
        r#"permit (principal, action == Action::"tools/call", resource) when { resource.name like "db_\*" };"#,
    );
    assert_eq!(call(&starred, "db_*", ""), "forward");
    assert_eq!(call(&starred, "db_x", ""), "reject");
}

#[test]
fn the_tools_that_policies_name_are_known() {
    let engine = engine(
        r#"permit (principal, action == Action::"tools/call", resource == Tool::"b");
           permit (principal, action == Action::"tools/call", resource)
             when { resource == Tool::"a" || resource in ToolGroup::"read-only" };
           forbid (principal, action == Action::"tools/call", resource == Tool::"b");
           permit (principal, action == Action::"prompts/get", resource == Prompt::"p");"#,
    );
    let named: Vec<&str> = engine.named_tools().collect();
    assert_eq!(named, ["a", "b", "get", "list"], "members of groups, too");
}

#[test]
fn tools_are_named_by_their_names_too() {
    let engine = engine(
        r#"permit (principal, action == Action::"tools/call", resource) when { resource.name == "a" };
           forbid (principal, action == Action::"tools/call", resource) unless { ["b", "c"].contains(resource.name) };
           forbid (principal, action == Action::"tools/call", resource) when { "d" != resource.name && resource.name like "x_y*" };
           permit (principal, action, resource is Tool) when { (if resource.name == "e" then "f" else "g") == resource.name };
           permit (principal, action == Action::"tools/call", resource) when { context.arguments has s && context.arguments.s == "s" };
           permit (principal, action == Action::"prompts/get", resource) when { resource.name == "p" };
           permit (principal, action in [Action::"tools/call", Action::"prompts/get"], resource) when { resource.name == "q" };"#,
    );
    let named: Vec<&str> = engine.named_tools().collect();
    assert_eq!(named, ["a", "b", "c", "d", "e", "f", "g"]);
}

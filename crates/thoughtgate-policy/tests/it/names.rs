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
    ] {
        let error = load(text).err().expect(text).to_string();
        assert!(
            error.starts_with("test.cedar:1:") && error.contains(expected),
            "{error}"
        );
    }
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
    assert_eq!(engine.named_tools().collect::<Vec<_>>(), ["a", "b"]);
}

//! Policies that no request can meet, and those next to them that one can.

use expect_test::expect;

use crate::load;

/// The subject of the contradiction for which `policy` is refused.
fn refused(policy: &str) -> Option<String> {
    let error = load(policy).err()?.to_string();
    let found = error.split("no value of `").nth(1);
    let subject = found.unwrap_or_else(|| panic!("{policy}: {error}"));
    Some(subject.split('`').next().unwrap().to_owned())
}

fn policy(resource: &str, clauses: &str) -> String {
    format!("permit (principal, action == Action::\"tools/call\", {resource}) {clauses};")
}

#[test]
fn tests_that_exclude_each_other_are_refused() {
    let s = "context.arguments has s && context.arguments.s";
    let n = "context.arguments has n && context.arguments.n";
    let time = "context.now.toTime()";
    for (resource, clauses, subject) in [
        ("resource", "when { resource.name == \"a\" && resource.name == \"b\" }".to_owned(), "resource"),
        ("resource == Tool::\"a\"", "when { resource.name == \"b\" }".to_owned(), "resource"),
        ("resource == Tool::\"a\"", "when { [\"b\", \"c\"].contains(resource.name) }".to_owned(), "resource"),
        ("resource == Tool::\"a\"", "when { resource == Tool::\"b\" }".to_owned(), "resource"),
        ("resource == Tool::\"a\"", "when { resource in [Tool::\"b\", Tool::\"c\"] }".to_owned(), "resource"),
        ("resource == Tool::\"a\"", "when { resource.name like \"b*\" }".to_owned(), "resource"),
        ("resource == Tool::\"a\"", "unless { resource.name like \"a*\" }".to_owned(), "resource"),
        ("resource == Tool::\"a\"", "unless { resource == Tool::\"a\" }".to_owned(), "resource"),
        ("resource == Tool::\"a\"", "when { resource.name == \"b\" || resource.name == \"c\" || resource.name == \"d\" }".to_owned(), "resource"),
        ("resource == Tool::\"a\"", "unless { context.arguments has x } unless { resource.name == \"a\" && resource == Tool::\"a\" }".to_owned(), "resource"),
        ("resource", format!("when {{ {s} == \"a\" }} unless {{ !(context.arguments.s == \"b\") }}"), "context.arguments.s"),
        ("resource", format!("when {{ {s} == \"a\" && context.arguments.s != \"a\" }}"), "context.arguments.s"),
        ("resource", format!("when {{ {n} > 5 && context.arguments.n < 6 }}"), "context.arguments.n"),
        ("resource", format!("when {{ {n} == 5 && 7 <= context.arguments.n }}"), "context.arguments.n"),
        ("resource", format!("when {{ {time} > duration(\"25h\") }}"), time),
        ("resource", format!("when {{ {time} < duration(\"0h\") }}"), time),
        ("resource", format!("when {{ {time} == duration(\"24h\") }}"), time),
        ("resource", format!("when {{ {time} >= duration(\"22h\") && {time} < duration(\"6h\") }}"), time),
        ("resource", "when { context.now > datetime(\"2026-12-20\") && context.now < datetime(\"2026-01-04\") }".to_owned(), "context.now"),
        ("resource", "when { principal == Agent::\"a\" && principal == Agent::\"b\" }".to_owned(), "principal"),
        ("resource", "when { context.arguments has b && context.arguments.b && !context.arguments.b }".to_owned(), "context.arguments.b"),
    ] {
        let policy = policy(resource, &clauses);
        assert_eq!(refused(&policy).as_deref(), Some(subject), "{policy}");
    }
}

#[test]
fn what_some_request_meets_loads() {
    let s = "context.arguments has s && context.arguments.s";
    let n = "context.arguments has n && context.arguments.n";
    let time = "context.now.toTime()";
    for (resource, clauses) in [
        ("resource", "when { resource.name == \"a\" || resource.name == \"b\" }".to_owned()),
        ("resource", "when { [\"a\", \"b\"].contains(resource.name) && resource.name != \"a\" }".to_owned()),
        ("resource == Tool::\"a\"", "when { resource.name == \"a\" && resource.name like \"a*\" }".to_owned()),
        ("resource == Tool::\"a\"", "when { resource.name == \"b\" || context.arguments has x }".to_owned()),
        ("resource == Tool::\"a\"", "unless { resource.name == \"a\" && context.arguments has x }".to_owned()),
        ("resource in ToolGroup::\"read-only\"", "when { resource.name == \"b\" }".to_owned()),
        ("resource in Upstream::\"upstream\"", "when { resource == Tool::\"b\" }".to_owned()),
        ("resource", format!("when {{ {s} == \"a\" && context.arguments has t && context.arguments.t == \"b\" }}")),
        (
            "resource",
            "when { context.arguments has \"a.b\" && context.arguments[\"a.b\"] == \"x\" && \
             context.arguments has a.b && context.arguments.a.b == \"y\" }"
                .to_owned(),
        ),
        ("resource", format!("when {{ {s} != \"a\" && context.arguments.s like \"a*\" && !(context.arguments.s like \"*b\") }}")),
        ("resource", format!("when {{ {n} > 5 && context.arguments.n < 7 }}")),
        ("resource", format!("when {{ {n} >= -5 && context.arguments.n <= -5 }}")),
        ("resource", format!("when {{ {time} > duration(\"23h59m\") }}")),
        ("resource", format!("when {{ {time} >= duration(\"22h\") || {time} < duration(\"6h\") }}")),
        ("resource", format!("unless {{ {time} >= duration(\"22h\") && {time} < duration(\"23h\") }}")),
        ("resource", "when { context.now < datetime(\"2020-01-01\") }".to_owned()),
        ("resource", "when { context.arguments has d && context.arguments.d == decimal(\"1.0\") && context.arguments.d == decimal(\"1.00\") }".to_owned()),
    ] {
        let policy = policy(resource, &clauses);
        assert_eq!(refused(&policy), None, "{policy}");
    }
    // A resource of another type with the same id is another resource.
    let prompt = "permit (principal, action, resource) \
                  when { resource == Prompt::\"a\" && resource != Tool::\"a\" };";
    assert_eq!(refused(prompt), None);
}

#[test]
fn the_message_has_the_way_out() {
    let error = |clauses: &str| {
        let policy = format!("@id(\"p\") {}", policy("resource", clauses));
        load(&policy).err().unwrap().to_string()
    };
    expect!["test.cedar:1:1: policy `p` can never apply: no value of `resource` meets its scope and all of its conditions; write alternatives with `||`, or as several policies"].assert_eq(&error("when { resource.name == \"a\" && resource.name == \"b\" }"));
    expect![[r#"test.cedar:1:1: policy `p` can never apply: no value of `context.now.toTime()` meets its scope and all of its conditions; a time of day is at least `duration("0h")` and less than `duration("24h")`, and a span over midnight is written with `||`"#]].assert_eq(&error(
        "when { context.now.toTime() > duration(\"22h\") && context.now.toTime() < duration(\"6h\") }",
    ));
}

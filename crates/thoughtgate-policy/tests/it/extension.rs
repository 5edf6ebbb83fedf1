//! Arguments as values of Cedar's extension types, which follow from methods and literals beside them.

use expect_test::{Expect, expect};
use thoughtgate_policy::{Engine, Target};

use crate::{ask, call, engine, load};

/// Permits a call of which `condition` on the argument `x` holds.
fn permitting(condition: &str) -> Engine {
    engine(&format!(
        "permit (principal, action == Action::\"tools/call\", resource) when {{ \
         context.arguments has x && {condition} }};"
    ))
}

fn with(engine: &Engine, value: &str) -> &'static str {
    call(engine, "t", &format!("{{\"x\": {value}}}"))
}

#[test]
fn decimals_are_read_from_numbers_and_strings() {
    for condition in [
        "context.arguments.x.lessThan(decimal(\"100.5\"))",
        "decimal(\"100.5\").greaterThan(context.arguments.x)",
        "!(context.arguments.x.greaterThanOrEqual(decimal(\"100.5\")))",
        "(if principal == Agent::\"alice\" then context.arguments.x else decimal(\"1.0\"))\
         .lessThanOrEqual(decimal(\"100.4999\"))",
    ] {
        let engine = permitting(condition);
        for (value, expected) in [
            ("100", "forward"),
            ("100.4999", "forward"),
            ("1004999e-4", "forward"),
            ("-1e2", "forward"),
            ("0.0", "forward"),
            ("\"100.4999\"", "forward"),
            ("\"-3.5\"", "forward"),
            ("100.5", "reject"),
            ("1.005e2", "reject"),
            ("\"100.5\"", "reject"),
            ("922337203685477.5807", "reject"),
            ("100.49999", "error"),
            ("922337203685477.5808", "error"),
            ("1e400", "error"),
            ("\"100\"", "forward"),
            ("\"100.49990\"", "forward"),
            ("\"101\"", "reject"),
            ("\"100.49999\"", "error"),
            ("\"0100\"", "error"),
            ("\"1e2\"", "error"),
            ("\"\"", "error"),
            ("true", "error"),
            ("[1.5]", "error"),
            ("{\"x\": 1.5}", "error"),
            ("null", "reject"),
        ] {
            assert_eq!(with(&engine, value), expected, "{condition} {value}");
        }
    }
    // As a 64-bit float it would be 90071992547409.92.
    let exact = permitting("context.arguments.x == decimal(\"90071992547409.9301\")");
    assert_eq!(with(&exact, "90071992547409.9301"), "forward");
    assert_eq!(with(&exact, "90071992547409.9300"), "reject");
    assert_eq!(with(&exact, "900719925474099301e-4"), "forward");
}

#[test]
fn addresses_are_read_from_strings() {
    let engine = permitting("context.arguments.x.isInRange(ip(\"10.0.0.0/8\"))");
    for (value, expected) in [
        ("\"10.1.2.3\"", "forward"),
        ("\"10.1.0.0/16\"", "forward"),
        ("\"10\\u002e1.2.3\"", "forward"),
        ("\"11.1.2.3\"", "reject"),
        ("\"0.0.0.0/0\"", "reject"),
        ("\"::1\"", "reject"),
        // Connects to 10.1.2.3, and is another address to Cedar.
        ("\"::ffff:10.1.2.3\"", "error"),
        ("\"::ffff:a01:203\"", "error"),
        ("\"localhost\"", "error"),
        ("\"010.1.2.3\"", "error"),
        ("\"10.1.2.3 \"", "error"),
        ("\"10.1.2.3\\u0000\"", "error"),
        ("167772161", "error"),
        ("null", "reject"),
    ] {
        assert_eq!(with(&engine, value), expected, "{value}");
    }
    let loopback = permitting(
        "(context.arguments.x.isLoopback() || context.arguments.x == ip(\"192.168.0.1\") || \
         [ip(\"::2\"), ip(\"::3\")].contains(context.arguments.x))",
    );
    for (value, expected) in [
        ("\"127.0.0.1\"", "forward"),
        ("\"192.168.0.1\"", "forward"),
        ("\"0:0:0:0:0:0:0:3\"", "forward"),
        ("\"192.168.0.2\"", "reject"),
    ] {
        assert_eq!(with(&loopback, value), expected, "{value}");
    }
}

#[test]
fn times_are_read_from_strings() {
    for condition in [
        "context.arguments.x < datetime(\"2026-12-31\")",
        "datetime(\"2026-12-31\") > context.arguments.x",
        "context.arguments.x.toDate() <= datetime(\"2026-12-30\")",
        "context.arguments.x.offset(duration(\"1d\")) < datetime(\"2027-01-01\")",
        "context.arguments.x.durationSince(datetime(\"2026-12-30\")) < duration(\"1d\")",
        // The time of the call is 2026-11-24T09:30:00Z.
        "context.arguments.x < context.now.offset(duration(\"36d14h30m\"))",
    ] {
        let engine = permitting(condition);
        for (value, expected) in [
            ("\"2026-12-30\"", "forward"),
            ("\"2026-12-30T23:59:59Z\"", "forward"),
            ("\"2026-12-31T00:59:59.999+0100\"", "forward"),
            ("\"2026-12-31\"", "reject"),
            ("\"2026-12-30T23:59:59-0100\"", "reject"),
            ("\"2026-02-30\"", "error"),
            ("\"tomorrow\"", "error"),
            ("1700000000", "error"),
        ] {
            assert_eq!(with(&engine, value), expected, "{condition} {value}");
        }
    }
    let engine = permitting("context.arguments.x <= duration(\"1h30m\")");
    for (value, expected) in [
        ("\"90m\"", "forward"),
        ("\"-1d\"", "forward"),
        ("\"90m1ms\"", "reject"),
        ("\"90\"", "error"),
        ("90", "error"),
    ] {
        assert_eq!(with(&engine, value), expected, "{value}");
    }
    let hours = permitting("context.arguments.x.toHours() > 2");
    assert_eq!(with(&hours, "\"3h\""), "forward");
    assert_eq!(with(&hours, "\"2h59m\""), "reject");
}

#[test]
fn times_are_read_in_each_form_of_rfc_3339() {
    let engine = permitting("context.arguments.x < datetime(\"2026-12-31\")");
    for (value, expected) in [
        ("2026-12-30T23:59:59z", "forward"),
        ("2026-12-31t00:59:59+01:00", "forward"),
        ("2026-12-30T22:59:59-01:00", "forward"),
        ("2026-12-30T23:59:59+00:00", "forward"),
        ("2026-12-30T23:59:59.5Z", "forward"),
        ("2026-12-30T23:59:59.999999Z", "forward"),
        ("2026-12-31T01:00:00+01:00", "reject"),
        ("2026-12-30T23:00:00-01:00", "reject"),
        ("2026-12-31T00:00:00.000001Z", "reject"),
        ("2026-12-30T23:59:59+24:00", "error"),
        ("2026-12-30T23:59:59+01:60", "error"),
        ("2026-12-30T24:00:00+01:00", "error"),
        ("2026-02-30T00:00:00+01:00", "error"),
        ("2026-12-30T23:59:59", "error"),
        ("2026-12-30T23:59:59.Z", "error"),
        ("2026-12-30T23:59:59+1:00", "error"),
    ] {
        assert_eq!(with(&engine, &format!("\"{value}\"")), expected, "{value}");
    }
}

#[test]
fn digits_beyond_milliseconds_change_no_comparison() {
    const LATER: &str = "\"2026-12-31T00:00:00.0001Z\"";
    const SAME: &str = "\"2026-12-31T00:00:00.000000Z\"";
    let end = "datetime(\"2026-12-31\")";
    for (condition, later, same) in [
        ("context.arguments.x < END", "reject", "reject"),
        ("context.arguments.x >= END", "forward", "forward"),
        ("END > context.arguments.x", "reject", "reject"),
        ("END <= context.arguments.x", "forward", "forward"),
        (
            "END.offset(duration(\"0s\")) <= context.arguments.x",
            "forward",
            "forward",
        ),
        ("context.arguments.x.toDate() <= END", "forward", "forward"),
        ("context.arguments.x <= END", "reject", "forward"),
        ("context.arguments.x > END", "forward", "reject"),
        ("END >= context.arguments.x", "reject", "forward"),
        ("END < context.arguments.x", "forward", "reject"),
        (
            "context.arguments.x > END && context.arguments.x <= END.offset(duration(\"1ms\"))",
            "forward",
            "reject",
        ),
        // Neither of both roundings is right for these.
        (
            "context.arguments.x > END && context.arguments.x < END.offset(duration(\"1d\"))",
            "error",
            "reject",
        ),
        ("context.arguments.x == END", "error", "forward"),
        (
            "context.arguments.x >= END && context.arguments.x == END",
            "error",
            "forward",
        ),
        (
            "context.arguments.x < context.arguments.x.offset(duration(\"1ms\"))",
            "error",
            "forward",
        ),
    ] {
        let engine = permitting(&condition.replace("END", end));
        assert_eq!(with(&engine, LATER), later, "{condition}");
        assert_eq!(with(&engine, SAME), same, "{condition}");
    }
}

#[test]
fn nested_arguments_and_elements_have_the_type() {
    let engine = permitting(
        "context.arguments.x has price && context.arguments.x.price.lessThan(decimal(\"5.0\")) && \
         context.arguments.x has hosts && context.arguments.x.hosts.contains(ip(\"::1\"))",
    );
    for (value, expected) in [
        (r#"{"price": 4.99, "hosts": ["::2", "0::1"]}"#, "forward"),
        (r#"{"price": 5.00, "hosts": ["::1"]}"#, "reject"),
        (r#"{"price": 4.99, "hosts": ["::2"]}"#, "reject"),
        (r#"{"price": null, "hosts": ["::1"]}"#, "reject"),
        (r#"{"price": 4.99, "hosts": [null]}"#, "error"),
        (r#"{"price": 4.99, "hosts": ["x"]}"#, "error"),
    ] {
        assert_eq!(with(&engine, value), expected, "{value}");
    }
}

fn refused(condition: &str, value: &str, expected: &Expect) {
    let arguments = format!("{{\"x\": {value}}}");
    let decision = ask(
        &permitting(condition),
        "alice",
        Target::Tool("t"),
        &arguments,
    );
    expected.assert_eq(&decision.error.expect(value));
}

#[test]
fn a_value_that_is_refused_is_told_the_form() {
    refused(
        "context.arguments.x.lessThan(decimal(\"1.0\"))",
        "424242.42424242",
        &expect![
            "argument `x` is a number with more than four decimal places, but policies read it as a decimal number, which has at most four; round it"
        ],
    );
    refused(
        "context.arguments.x.lessThan(decimal(\"1.0\"))",
        "\"424242424242424242\"",
        &expect![
            "argument `x` is a number outside the range of decimal numbers (-922337203685477.5808 to 922337203685477.5807), as which policies read it"
        ],
    );
    refused(
        "context.arguments.x.lessThan(decimal(\"1.0\"))",
        "\"042\"",
        &expect![[
            r#"argument `x` is not a decimal number, as which policies read it; expected a number between -922337203685477.5808 and 922337203685477.5807 with at most four decimal places, or such a number as a string, as in "12.50""#
        ]],
    );
    refused(
        "context.arguments.x.isIpv4()",
        "\"424242\"",
        &expect![[
            r#"argument `x` is not an IP address, as which policies read it; expected a string such as "10.0.0.1", "10.0.0.0/8" or "2001:db8::1", with IPv4 addresses not written as IPv6"#
        ]],
    );
    refused(
        "context.arguments.x < datetime(\"2026-12-31\")",
        "\"424242\"",
        &expect![[
            r#"argument `x` is not a date or time, as which policies read it; expected a string such as "2026-12-31", "2026-12-31T23:59:59Z" or "2026-12-31T23:59:59.000+01:00""#
        ]],
    );
    refused(
        "context.arguments.x == datetime(\"2026-12-31\")",
        "\"2024-02-04T02:04:02.4242Z\"",
        &expect![
            "argument `x` is a time with more than three decimal places of a second, but policies compare it in whole milliseconds; send at most three"
        ],
    );
    refused(
        "context.arguments.x.contains(\"y\")",
        "[[424242]]",
        &expect!["an element of argument `x` is an array, but policies read it as a string"],
    );
    refused(
        "context.arguments.x < duration(\"1h\")",
        "424242",
        &expect![[
            r#"argument `x` is not a duration, as which policies read it; expected a string such as "1d2h3m4s5ms""#
        ]],
    );
}

#[test]
fn a_constructor_of_an_argument_is_refused_with_the_way_out() {
    let refused = |condition: &str, expected: Expect| {
        let text = format!(
            "permit (principal, action, resource);\n\
             @id(\"c\") forbid (principal, action == Action::\"tools/call\", resource)\n\
             when {{ context.arguments has x &&\n\
               {condition} }};"
        );
        let error = load(&text).err().expect(condition);
        expected.assert_eq(&error.to_string());
    };
    refused(
        "ip(context.arguments.x).isInRange(ip(\"10.0.0.0/8\"))",
        expect![[
            r#"test.cedar:4:4: policy `c` calls `ip(context.arguments.x)`, but `ip` takes only a string literal; compare the argument itself, as in `context.arguments.x.isInRange(ip("10.0.0.0/8"))`, and it is read as an IP address"#
        ]],
    );
    refused(
        "decimal(\"1.0\").lessThan(decimal(context.arguments[\"x\"]))",
        expect![[
            r#"test.cedar:4:33: policy `c` calls `decimal(context.arguments.x)`, but `decimal` takes only a string literal; compare the argument itself, as in `context.arguments.x.lessThan(decimal("100.0"))`, and it is read as a decimal number"#
        ]],
    );
    refused(
        "datetime(context.arguments.x) < context.now",
        expect![[
            r#"test.cedar:4:10: policy `c` calls `datetime(context.arguments.x)`, but `datetime` takes only a string literal; compare the argument itself, as in `context.arguments.x < datetime("2026-12-31")`, and it is read as a date or time"#
        ]],
    );
    refused(
        "duration(context.arguments.x) < duration(\"1h\")",
        expect![[
            r#"test.cedar:4:10: policy `c` calls `duration(context.arguments.x)`, but `duration` takes only a string literal; compare the argument itself, as in `context.arguments.x < duration("1h30m")`, and it is read as a duration"#
        ]],
    );
}

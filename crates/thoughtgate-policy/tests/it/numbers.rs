//! Numbers as JSON writes them: whole floats, fractions, and numbers that no 64-bit integer holds.

use expect_test::{Expect, expect};
use thoughtgate_policy::{Engine, Target};

use crate::{ask, call, engine};

fn reading() -> Engine {
    engine(
        r#"permit (principal, action == Action::"tools/call", resource);
           forbid (principal, action == Action::"tools/call", resource) when {
             context.arguments has n && context.arguments.n > 50 ||
             context.arguments has ids && context.arguments.ids.contains(7) };"#,
    )
}

#[test]
fn a_whole_float_is_the_whole_number() {
    let engine = reading();
    for (number, expected) in [
        ("50.0", "forward"),
        ("5e1", "forward"),
        ("51.0", "reject"),
        ("51e0", "reject"),
        ("0.51E+2", "reject"),
        ("5100e-2", "reject"),
        ("9007199254740993.0", "reject"),
        ("9.223372036854775807e18", "reject"),
        ("-9.223372036854775808e18", "forward"),
        ("-0.0", "forward"),
        ("-0", "forward"),
    ] {
        let arguments = format!("{{\"n\": {number}}}");
        assert_eq!(call(&engine, "t", &arguments), expected, "{number}");
    }
    assert_eq!(call(&engine, "t", r#"{"ids": [1, 7.0]}"#), "reject");
    assert_eq!(call(&engine, "t", r#"{"ids": [1, 70e-1]}"#), "reject");
    assert_eq!(call(&engine, "t", r#"{"ids": [1, 8.0]}"#), "forward");
}

#[test]
fn a_float_is_compared_digit_by_digit() {
    // As a 64-bit float it would be 9007199254740992.
    let engine = engine(
        r#"permit (principal, action == Action::"tools/call", resource) when {
             context.arguments has n && context.arguments.n == 9007199254740993 };"#,
    );
    assert_eq!(
        call(&engine, "t", r#"{"n": 9007199254740993.0}"#),
        "forward"
    );
    assert_eq!(call(&engine, "t", r#"{"n": 9007199254740992.0}"#), "reject");
}

fn refused(arguments: &str, expected: &Expect) {
    let decision = ask(&reading(), "alice", Target::Tool("t"), arguments);
    expected.assert_eq(&decision.error.expect(arguments));
}

#[test]
fn what_is_no_whole_number_is_refused_with_the_reason() {
    let range = expect![
        "argument `n` is a number outside the range of 64-bit integers (-2^63 to 2^63 - 1), with which policies compare"
    ];
    for number in [
        "9223372036854775808",
        "-9223372036854775809",
        "1e19",
        "1e400",
        "18446744073709551616",
    ] {
        refused(&format!("{{\"n\": {number}}}"), &range);
    }
    let fraction =
        expect!["argument `n` is a number with a fraction, but policies read it as a whole number"];
    for number in ["5.5", "1e-1", "50.000000000000000000001"] {
        refused(&format!("{{\"n\": {number}}}"), &fraction);
    }
    for (value, found) in [
        ("\"5\"", "a string"),
        ("true", "a boolean"),
        ("[5]", "an array"),
        ("{\"n\": 5}", "an object"),
    ] {
        let decision = ask(
            &reading(),
            "alice",
            Target::Tool("t"),
            &format!("{{\"n\": {value}}}"),
        );
        let expected = format!("argument `n` is {found}, but policies read it as a whole number");
        assert_eq!(decision.error.as_deref(), Some(&*expected));
    }
}

//! Cedar's extension types: the functions that take and return them, and arguments as their values.
//!
//! Cedar parses and compares the values. This file only decides which JSON values are given to it.

use std::borrow::Cow;

use cedar_policy::{Context, RestrictedExpression};
use serde_json::value::RawValue;
use thoughtgate_mcp::Key;

use crate::datetime::Datetime;
use crate::fault::Problem;
use crate::number::{Inexact, scaled};

/// An extension type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extension {
    Decimal,
    Ip,
    /// A date or time of which each digit matters.
    Datetime,
    /// One that is used as if digits beyond milliseconds were cut.
    DatetimeFloor,
    /// One that is used as if digits beyond milliseconds were rounded up.
    DatetimeCeil,
    Duration,
}

/// The type of an operand or of a result of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operand {
    Bool,
    Long,
    Of(Extension),
}

/// A function of an extension type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// Makes a value from a string literal.
    Constructor(Extension),
    Method {
        receiver: Extension,
        /// The type of the argument, if the method has one.
        argument: Option<Extension>,
        result: Operand,
    },
}

impl Function {
    /// The function with this name.
    pub fn named(name: &str) -> Option<Function> {
        use Extension::{Datetime, DatetimeFloor, Decimal, Duration, Ip};
        let method = |receiver, argument, result| Function::Method {
            receiver,
            argument,
            result,
        };
        Some(match name {
            "decimal" => Function::Constructor(Decimal),
            "ip" => Function::Constructor(Ip),
            "datetime" => Function::Constructor(Datetime),
            "duration" => Function::Constructor(Duration),
            "lessThan" | "lessThanOrEqual" | "greaterThan" | "greaterThanOrEqual" => {
                method(Decimal, Some(Decimal), Operand::Bool)
            }
            "isIpv4" | "isIpv6" | "isLoopback" | "isMulticast" => method(Ip, None, Operand::Bool),
            "isInRange" => method(Ip, Some(Ip), Operand::Bool),
            "offset" => method(Datetime, Some(Duration), Operand::Of(Datetime)),
            "durationSince" => method(Datetime, Some(Datetime), Operand::Of(Duration)),
            "toDate" => method(DatetimeFloor, None, Operand::Of(Datetime)),
            "toTime" => method(Datetime, None, Operand::Of(Duration)),
            "toMilliseconds" | "toSeconds" | "toMinutes" | "toHours" | "toDays" => {
                method(Duration, None, Operand::Long)
            }
            _ => return None,
        })
    }
}

impl Extension {
    /// The type's name in a schema.
    pub fn schema_name(self) -> &'static str {
        match self {
            Extension::Decimal => "decimal",
            Extension::Ip => "ipaddr",
            Extension::Datetime | Extension::DatetimeFloor | Extension::DatetimeCeil => "datetime",
            Extension::Duration => "duration",
        }
    }

    /// The type's name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Extension::Decimal => "a decimal number",
            Extension::Ip => "an IP address",
            Extension::Datetime | Extension::DatetimeFloor | Extension::DatetimeCeil => {
                "a date or time"
            }
            Extension::Duration => "a duration",
        }
    }

    /// The function that makes a value of a string.
    pub fn constructor(self) -> &'static str {
        match self {
            Extension::Ip => "ip",
            _ => self.schema_name(),
        }
    }

    /// The type for both uses, of one that both have in a schema.
    pub fn join(self, other: Extension) -> Extension {
        if self == other {
            self
        } else {
            Extension::Datetime
        }
    }

    /// A test of `argument` that Cedar can validate, for messages.
    pub fn instead(self, argument: &str) -> String {
        let test = match self {
            Extension::Decimal => ".lessThan(decimal(\"100.0\"))",
            Extension::Ip => ".isInRange(ip(\"10.0.0.0/8\"))",
            Extension::Datetime | Extension::DatetimeFloor | Extension::DatetimeCeil => {
                " < datetime(\"2026-12-31\")"
            }
            Extension::Duration => " < duration(\"1h30m\")",
        };
        let name = self.name();
        format!("as in `{argument}{test}`, and it is read as {name}")
    }

    /// The form that is expected of an argument, for messages.
    fn form(self) -> &'static str {
        match self {
            Extension::Decimal => {
                "a number between -922337203685477.5808 and 922337203685477.5807 with at most four \
                 decimal places, or such a number as a string, as in \"12.50\""
            }
            Extension::Ip => {
                "a string such as \"10.0.0.1\", \"10.0.0.0/8\" or \"2001:db8::1\", with IPv4 addresses \
                 not written as IPv6"
            }
            Extension::Datetime | Extension::DatetimeFloor | Extension::DatetimeCeil => {
                "a string such as \"2026-12-31\", \"2026-12-31T23:59:59Z\" or \
                 \"2026-12-31T23:59:59.000+01:00\""
            }
            Extension::Duration => "a string such as \"1d2h3m4s5ms\"",
        }
    }

    /// The JSON value `raw` as a value of this type; `None` for `null`.
    pub fn read(self, raw: &RawValue) -> Result<Option<RestrictedExpression>, Problem> {
        let refused = || Problem::Extension {
            wanted: self.name(),
            form: self.form(),
        };
        let text = raw.get();
        let mut rounds_up = false;
        let found = match text.as_bytes().first() {
            Some(b'n') => return Ok(None),
            Some(b'"') => {
                // Fails for half of a surrogate pair, which is valid JSON and no text.
                let Ok(Key(text)) = serde_json::from_str::<Key<'_>>(text) else {
                    return Err(Problem::Invalid);
                };
                rounds_up = self == Extension::DatetimeCeil
                    && Datetime::of(&text).is_some_and(|time| !time.is_whole());
                self.in_cedar_form(text)?
            }
            Some(b'-' | b'0'..=b'9') if self == Extension::Decimal => Cow::Owned(decimal(text)?),
            _ => return Err(refused()),
        };
        if self == Extension::Ip && is_mapped(&found) {
            return Err(refused());
        }
        let value = match self {
            Extension::Decimal => RestrictedExpression::new_decimal(&*found),
            Extension::Ip => RestrictedExpression::new_ip(&*found),
            Extension::Datetime | Extension::DatetimeFloor | Extension::DatetimeCeil => {
                RestrictedExpression::new_datetime(&*found)
            }
            Extension::Duration => RestrictedExpression::new_duration(&*found),
        };
        // Cedar parses the string only when it makes a context, and its error names no argument.
        match Context::from_pairs([(String::new(), value.clone())]) {
            Ok(_) if rounds_up => {
                // Cedar has read it, so that there are only digits in it.
                let next = format!("datetime(\"{found}\").offset(duration(\"1ms\"))");
                next.parse().map(Some).map_err(|_| refused())
            }
            Ok(_) => Ok(Some(value)),
            Err(_) => Err(refused()),
        }
    }
}

impl Extension {
    /// `text` as Cedar writes the value that it is, or `text` itself where Cedar's parser decides.
    fn in_cedar_form(self, text: Cow<'_, str>) -> Result<Cow<'_, str>, Problem> {
        match self {
            Extension::Decimal if is_plain_number(&text) => Ok(Cow::Owned(decimal(&text)?)),
            Extension::Datetime | Extension::DatetimeFloor | Extension::DatetimeCeil => {
                match Datetime::of(&text) {
                    Some(time) if self == Extension::Datetime && !time.is_whole() => {
                        Err(Problem::Microseconds)
                    }
                    Some(time) => Ok(Cow::Owned(time.cedar())),
                    None => Ok(text),
                }
            }
            _ => Ok(text),
        }
    }
}

/// Whether `text` is a number as JSON writes it, without an exponent.
fn is_plain_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let are_digits =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // Some programs read `010` as 8.
    are_digits(whole) && are_digits(fraction) && (whole == "0" || !whole.starts_with('0'))
}

/// Decimal places of Cedar's decimals.
const PLACES: usize = 4;
/// The number of smallest steps in 1: 10 to the power of `PLACES`.
const UNIT: u64 = 10_000;

/// A JSON number as Cedar writes decimals.
fn decimal(number: &str) -> Result<String, Problem> {
    let scaled = scaled(number, PLACES).map_err(|inexact| match inexact {
        Inexact::Fraction => Problem::DecimalPlaces,
        Inexact::OutOfRange => Problem::DecimalRange,
    })?;
    let sign = if scaled < 0 { "-" } else { "" };
    let steps = scaled.unsigned_abs();
    let (whole, fraction) = (steps / UNIT, steps % UNIT);
    Ok(format!("{sign}{whole}.{fraction:0PLACES$}"))
}

/// Whether an address is an IPv4 address in the form of IPv6. Cedar takes it for another address, and
/// systems connect to the same one.
fn is_mapped(text: &str) -> bool {
    let address = text.split('/').next().unwrap_or_default();
    let parsed = address.parse::<std::net::Ipv6Addr>();
    parsed.is_ok_and(|address| address.to_ipv4_mapped().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_has_the_digits_of_the_number() {
        for (number, expected) in [
            ("0", Ok("0.0000")),
            ("-0.0", Ok("0.0000")),
            ("9.99", Ok("9.9900")),
            ("-0.5", Ok("-0.5000")),
            ("1e2", Ok("100.0000")),
            ("12.34567e2", Ok("1234.5670")),
            // As a float this would be 922337203685477.625.
            ("922337203685477.5807", Ok("922337203685477.5807")),
            ("-922337203685477.5808", Ok("-922337203685477.5808")),
            ("922337203685477.5808", Err(Problem::DecimalRange)),
            ("0.00001", Err(Problem::DecimalPlaces)),
        ] {
            assert_eq!(decimal(number), expected.map(str::to_owned), "{number}");
        }
    }

    #[test]
    fn a_text_is_a_number_as_json_writes_it() {
        for text in ["0", "10", "-3", "10.0", "0.50", "-0.5"] {
            assert!(is_plain_number(text), "{text}");
        }
        for text in [
            "", "-", ".5", "5.", "010", "1e2", "+1", " 1", "1.2.3", "--1",
        ] {
            assert!(!is_plain_number(text), "{text}");
        }
    }

    #[test]
    fn an_address_has_one_form() {
        for text in [
            "::ffff:10.0.0.1",
            "::ffff:a00:1",
            "0:0:0:0:0:ffff:a00:1/128",
        ] {
            assert!(is_mapped(text), "{text}");
        }
        for text in ["10.0.0.1", "::1", "2001:db8::1/64", "", "x"] {
            assert!(!is_mapped(text), "{text}");
        }
    }
}

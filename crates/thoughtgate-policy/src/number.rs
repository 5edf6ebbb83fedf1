//! The value of a JSON number as an integer, read from its digits.
//!
//! Never through a float, which would round: `9007199254740993.0` is that number. Does not check that a
//! text is a JSON number; the parser did.

/// The reason why a number has no value as an integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inexact {
    /// Digits remain after the decimal point.
    Fraction,
    /// Outside the range of 64-bit integers.
    OutOfRange,
}

/// The JSON number `text`, multiplied by 10 to the power of `places`. `50`, `50.0` and `5e1` are the
/// same number.
pub fn scaled(text: &str, places: usize) -> Result<i64, Inexact> {
    // Nearly all are written plainly.
    if places == 0
        && let Ok(value) = text.parse()
    {
        return Ok(value);
    }
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = || {
        whole
            .bytes()
            .chain(fraction.bytes())
            .map(|byte| byte - b'0')
    };
    // Zero has no digit that an exponent could move out of range.
    if digits().all(|digit| digit == 0) {
        return Ok(0);
    }
    // Digits before the decimal point, once it is moved.
    let point = to_saturated(whole.len())
        .saturating_add(to_saturated(places))
        .saturating_add(power(exponent));
    let kept = usize::try_from(point).unwrap_or(0);
    if digits().skip(kept).any(|digit| digit != 0) {
        return Err(Inexact::Fraction);
    }
    let leading = digits().take_while(|digit| *digit == 0).count();
    // Before the digits are added up, since `1e999999999` would take as many steps.
    if kept.saturating_sub(leading) > DIGITS_MAX {
        return Err(Inexact::OutOfRange);
    }
    // Negative, since the range has one more number below zero than above.
    let value = digits()
        .chain(std::iter::repeat(0))
        .take(kept)
        .try_fold(0_i64, |value, digit| {
            value.checked_mul(10)?.checked_sub(i64::from(digit))
        });
    let value = if negative {
        value
    } else {
        value.and_then(i64::checked_neg)
    };
    value.ok_or(Inexact::OutOfRange)
}

/// Digits of the largest 64-bit integer.
const DIGITS_MAX: usize = 19;

/// The value of an exponent; the nearest that fits if it is out of range.
fn power(exponent: &str) -> i64 {
    let nearest = if exponent.starts_with('-') {
        i64::MIN
    } else {
        i64::MAX
    };
    exponent.parse().unwrap_or(nearest)
}

fn to_saturated(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_spelling_of_a_whole_number_is_that_number() {
        for (text, expected) in [
            ("0", 0),
            ("-0", 0),
            ("0.000", 0),
            ("0e999999999999999999999", 0),
            ("50", 50),
            ("50.0", 50),
            ("5e1", 50),
            ("5E+1", 50),
            ("500e-1", 50),
            ("0.5e2", 50),
            ("-50.00", -50),
            ("0.00000000000000000000000000005e30", 50),
            ("50000000000000000000000000000e-27", 50),
            ("9007199254740993.0", 9_007_199_254_740_993),
            ("9223372036854775807", i64::MAX),
            ("9223372036854775807.0", i64::MAX),
            ("-9223372036854775808", i64::MIN),
            ("-9.223372036854775808e18", i64::MIN),
        ] {
            assert_eq!(scaled(text, 0), Ok(expected), "{text}");
        }
    }

    #[test]
    fn other_numbers_are_refused_with_the_reason() {
        for text in ["5.5", "-0.1", "1e-1", "1e-999999999999999999999", "15e-1"] {
            assert_eq!(scaled(text, 0), Err(Inexact::Fraction), "{text}");
        }
        for text in [
            "9223372036854775808",
            "-9223372036854775809",
            "1e19",
            "1e400",
            "-1e999999999999999999999",
            "100000000000000000000000000000",
        ] {
            assert_eq!(scaled(text, 0), Err(Inexact::OutOfRange), "{text}");
        }
    }

    #[test]
    fn places_after_the_point_are_kept_as_digits() {
        for (text, expected) in [
            ("9.99", Ok(99_900)),
            ("0.1", Ok(1_000)),
            ("-12", Ok(-120_000)),
            ("1e-4", Ok(1)),
            ("1.00000", Ok(10_000)),
            ("0.00005", Err(Inexact::Fraction)),
            ("922337203685477.5807", Ok(i64::MAX)),
            ("922337203685477.5808", Err(Inexact::OutOfRange)),
        ] {
            assert_eq!(scaled(text, 4), expected, "{text}");
        }
    }
}

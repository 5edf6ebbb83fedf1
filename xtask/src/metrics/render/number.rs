//! Numbers for people: scaled, rounded to three significant digits, with a unit. Only reports use them;
//! data keeps the base unit.

use crate::metrics::catalog::{Target, Unit};
use crate::metrics::model::Value;

/// More decimals than three significant digits take, at most: an `f64` has 16 digits.
pub const EXTRA_MAX: usize = 12;
/// Relative error of a number that was divided by the size of its unit.
const SCALING_ERROR: f64 = 1e-12;

/// The direction in which a number is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    Nearest,
    /// For an upper bound: the printed one is not below it.
    Up,
    /// For a lower bound: the printed one is not above it.
    Down,
}

/// A unit to print in, with its size in base units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    base_units: f64,
    name: &'static str,
    /// Whether numbers are printed without decimals: bytes and counts cannot be divided.
    whole: bool,
}

impl Scale {
    /// The scale in which a value of `magnitude` base units is legible.
    pub fn of(unit: Unit, magnitude: f64) -> Self {
        // Smallest magnitude, size in base units, name.
        let steps: &[(f64, f64, &'static str)] = match unit {
            // Powers of ten, like the requirement's targets.
            Unit::Bytes => &[(1e6, 1e6, "MB"), (1e3, 1e3, "kB"), (0.0, 1.0, "B")],
            // A tenth of a millisecond reads better than a hundred microseconds.
            Unit::Milliseconds => &[(1e3, 1e3, "s"), (0.1, 1.0, "ms"), (0.0, 1e-3, "µs")],
            Unit::Microseconds => &[(1e3, 1e3, "ms"), (0.1, 1.0, "µs"), (0.0, 1e-3, "ns")],
            Unit::Percent => &[(0.0, 1.0, "%")],
            Unit::RequestsPerSecond => &[(0.0, 1.0, "req/s")],
            Unit::Count | Unit::String | Unit::Bool => &[(0.0, 1.0, "")],
        };
        // Zero is zero in the unit that it was measured in.
        let magnitude = if magnitude == 0.0 {
            1.0
        } else {
            magnitude.abs()
        };
        let step = steps.iter().find(|(from, ..)| magnitude >= *from);
        let (_, base_units, name) = *step.or(steps.last()).expect("every unit has a step");
        let whole = matches!(name, "B" | "req/s" | "");
        Self {
            base_units,
            name,
            whole,
        }
    }

    /// A number in this scale, without the unit.
    pub fn number(self, base: f64) -> String {
        self.rounded(base, Rounding::Nearest, 0).0
    }

    /// A number in this scale, with the unit.
    pub fn with_unit(self, base: f64) -> String {
        self.finer(base, 0)
    }

    /// The same with `extra` more decimals.
    pub fn finer(self, base: f64, extra: usize) -> String {
        join(&self.rounded(base, Rounding::Nearest, extra).0, self.name)
    }

    /// A number in this scale, and what it reads as, in base units.
    fn rounded(self, base: f64, rounding: Rounding, extra: usize) -> (String, f64) {
        let number = base / self.base_units;
        let decimals = extra + if self.whole { 0 } else { decimals(number) };
        // By way of its text, so that it is exactly what is printed.
        let nearest = format!("{number:.decimals$}").parse().unwrap_or(number);
        let step = 10f64.powi(-i32::try_from(decimals).unwrap_or_default());
        // Without this tolerance the division alone could round a bound by a whole step.
        let error = number.abs() * SCALING_ERROR;
        let rounded = match rounding {
            Rounding::Up if nearest < number - error => nearest + step,
            Rounding::Down if nearest > number + error => nearest - step,
            _ => nearest,
        };
        (grouped(rounded, decimals), rounded * self.base_units)
    }
}

/// A number in its legible scale, with as many digits as it takes to keep what `holds` says of it.
pub fn keeping(unit: Unit, base: f64, rounding: Rounding, holds: impl Fn(f64) -> bool) -> String {
    let scale = Scale::of(unit, base);
    let mut rounded = (0..=EXTRA_MAX).map(|extra| scale.rounded(base, rounding, extra));
    let kept = rounded.find(|(_, read)| holds(*read) == holds(base));
    let text = kept.map_or_else(|| (base / scale.base_units).to_string(), |(text, _)| text);
    join(&text, scale.name)
}

/// A value in its legible scale, with the unit.
pub fn value(unit: Unit, value: &Value) -> String {
    match value {
        Value::Boolean(truth) => truth.to_string(),
        Value::Text(text) => text.clone(),
        Value::Integer(_) | Value::Float(_) => {
            let number = value.number().expect("the arm is for numbers");
            Scale::of(unit, number).with_unit(number)
        }
    }
}

/// A target as a condition: `< 15 MB`. Round limits are printed round.
pub fn target(unit: Unit, target: Target) -> String {
    let limit = |sign: &str, limit: f64| {
        let scale = Scale::of(unit, limit);
        let number = limit / scale.base_units;
        let number = if number.fract() == 0.0 {
            grouped(number, 0)
        } else {
            scale.number(limit)
        };
        format!("{sign} {}", join(&number, scale.name))
    };
    match target {
        Target::None => "–".to_owned(),
        Target::Below(number) => limit("<", number),
        Target::AtMost(number) => limit("≤", number),
        Target::Above(number) => limit(">", number),
        Target::Text(text) => text.to_owned(),
        Target::Boolean(truth) => truth.to_string(),
    }
}

fn join(number: &str, unit: &str) -> String {
    if unit.is_empty() {
        number.to_owned()
    } else {
        format!("{number} {unit}")
    }
}

/// Decimals for three significant digits, decided on the rounded number: 9.999 is 10.0.
fn decimals(number: f64) -> usize {
    let magnitude = number.abs();
    if magnitude >= 99.95 || magnitude == 0.0 {
        0
    } else if magnitude >= 9.995 {
        1
    } else if magnitude >= 0.9995 {
        2
    } else {
        3
    }
}

/// Thousands separated by commas.
fn grouped(number: f64, decimals: usize) -> String {
    let text = format!("{number:.decimals$}");
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, format!(".{fraction}")),
        None => (text.as_str(), String::new()),
    };
    let (sign, digits) = whole
        .strip_prefix('-')
        .map_or(("", whole), |digits| ("-", digits));
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_scaled_and_rounded_for_people() {
        let cases = [
            (Unit::Bytes, 8_432_640.0, "8.43 MB"),
            (Unit::Bytes, 512.0, "512 B"),
            (Unit::Bytes, 98_566_144.0, "98.6 MB"),
            (Unit::Bytes, 1_500_000_000.0, "1,500 MB"),
            (Unit::Milliseconds, 2.3, "2.30 ms"),
            (Unit::Milliseconds, 9.999, "10.0 ms"),
            (Unit::Milliseconds, 0.1471, "0.147 ms"),
            (Unit::Milliseconds, -0.02, "-20.0 µs"),
            (Unit::Milliseconds, 2412.0, "2.41 s"),
            (Unit::Microseconds, 0.045, "45.0 ns"),
            (Unit::Percent, 0.3, "0.300 %"),
            (Unit::Percent, 0.0, "0 %"),
            (Unit::RequestsPerSecond, 15_420.0, "15,420 req/s"),
            (Unit::Count, 3.0, "3"),
        ];
        for (unit, number, expected) in cases {
            assert_eq!(value(unit, &Value::Float(number)), expected);
        }
        assert_eq!(
            value(Unit::String, &Value::Text("scratch".to_owned())),
            "scratch"
        );
    }

    #[test]
    fn a_bound_is_rounded_outwards_and_stays_on_its_side_of_a_limit() {
        use Rounding::{Down, Nearest, Up};
        let below = |limit: f64| move |number: f64| number < limit;
        let ms =
            |number, rounding, limit| keeping(Unit::Milliseconds, number, rounding, below(limit));
        assert_eq!(ms(1.0449, Up, 1.05), "1.045 ms");
        assert_eq!(ms(1.0449, Up, 2.0), "1.05 ms");
        assert_eq!(ms(4.96, Up, 5.0), "4.96 ms");
        assert_eq!(ms(4.9996, Up, 5.0), "4.9996 ms");
        assert_eq!(ms(5.0004, Up, 5.0), "5.01 ms");
        assert_eq!(ms(5.0, Up, 5.0), "5.00 ms");
        assert_eq!(ms(1.1, Up, 2.0), "1.10 ms", "no error of the scaling");
        assert_eq!(ms(-0.020_01, Up, 2.0), "-20.0 µs");
        let above = |number: f64| number > 10_000.0;
        let rate = |number| keeping(Unit::RequestsPerSecond, number, Down, above);
        assert_eq!(rate(12_345.6), "12,345 req/s");
        assert_eq!(rate(10_000.4), "10,000.4 req/s");
        assert_eq!(rate(9_999.6), "9,999 req/s");
        let size = |number| keeping(Unit::Bytes, number, Nearest, below(15e6));
        assert_eq!(size(10_912_000.0), "10.9 MB");
        assert_eq!(size(14_999_900.0), "14.9999 MB");
        assert_eq!(size(15_000_000.0), "15.0 MB");
    }

    #[test]
    fn targets_read_like_the_requirement() {
        let cases = [
            (Unit::Bytes, Target::Below(15e6), "< 15 MB"),
            (Unit::Microseconds, Target::Below(500.0), "< 500 µs"),
            (
                Unit::RequestsPerSecond,
                Target::Above(10_000.0),
                "> 10,000 req/s",
            ),
            (Unit::Count, Target::AtMost(5.0), "≤ 5"),
            (Unit::String, Target::Text("scratch"), "scratch"),
            (Unit::Count, Target::None, "–"),
        ];
        for (unit, condition, expected) in cases {
            assert_eq!(target(unit, condition), expected);
        }
    }
}

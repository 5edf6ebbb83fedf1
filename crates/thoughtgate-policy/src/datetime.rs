//! Times as RFC 3339 writes them, in the form that Cedar reads.
//!
//! Cedar's times have milliseconds, and an offset without a colon. Checks no digits: what a text has
//! wrong is wrong in Cedar's form, too, and its parser refuses it.

/// A date and time of RFC 3339, in parts of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datetime<'t> {
    date: &'t str,
    time: &'t str,
    /// Digits after the point; empty without one.
    fraction: &'t str,
    /// Sign, hours and minutes; `None` for UTC.
    offset: Option<[&'t str; 3]>,
}

/// Digits of a second in Cedar's times.
const MILLISECONDS: usize = 3;

impl<'t> Datetime<'t> {
    /// The parts of `text`; `None` if it has another form.
    #[must_use]
    pub fn of(text: &'t str) -> Option<Datetime<'t>> {
        let (date, rest) = text.split_at_checked("2026-01-05".len())?;
        let (time, rest) = rest
            .strip_prefix(['T', 't'])?
            .split_at_checked("23:00:00".len())?;
        let (fraction, offset) = match rest.strip_prefix('.') {
            Some(rest) => {
                let end = rest.find(|digit: char| !digit.is_ascii_digit())?;
                rest.split_at_checked(end).filter(|_| end > 0)?
            }
            None => ("", rest),
        };
        let offset = match offset {
            "Z" | "z" => None,
            offset => {
                let (sign, offset) = offset
                    .split_at_checked(1)
                    .filter(|(sign, _)| matches!(*sign, "+" | "-"))?;
                // `+0100` is Cedar's own form.
                let (hours, minutes) = offset.split_at_checked(2)?;
                let minutes = minutes.strip_prefix(':').unwrap_or(minutes);
                Some([sign, hours, minutes])
            }
        };
        Some(Datetime {
            date,
            time,
            fraction,
            offset,
        })
    }

    /// Whether it is a whole number of milliseconds.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let beyond = self.fraction.bytes().skip(MILLISECONDS);
        beyond.into_iter().all(|digit| digit == b'0')
    }

    /// The text for Cedar. Digits beyond milliseconds are cut.
    #[must_use]
    pub fn cedar(&self) -> String {
        let local = self.local();
        match self.offset {
            Some([sign, hours, minutes]) => format!("{local}{sign}{hours}{minutes}"),
            None => local + "Z",
        }
    }

    /// The time without its offset: `2026-01-05T23:00:00.000`.
    #[must_use]
    pub fn local(&self) -> String {
        let Datetime { date, time, .. } = self;
        let end = self.fraction.len().min(MILLISECONDS);
        let fraction = self.fraction.get(..end).unwrap_or_default();
        format!("{date}T{time}.{fraction:0<MILLISECONDS$}")
    }

    /// The offset from UTC in minutes, east of it positive; `None` if it is not valid.
    #[must_use]
    pub fn offset_minutes(&self) -> Option<i32> {
        let Some([sign, hours, minutes]) = self.offset else {
            return Some(0);
        };
        let two_digits = |text: &str, max: i32| {
            let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            let value: i32 = text.parse().ok().filter(|_| is_number)?;
            (value <= max).then_some(value)
        };
        let offset = two_digits(hours, 23)? * 60 + two_digits(minutes, 59)?;
        Some(if sign == "-" { -offset } else { offset })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_a_time_becomes_that_of_cedar() {
        for (text, expected, is_whole) in [
            ("2026-12-01T10:00:00Z", "2026-12-01T10:00:00.000Z", true),
            ("2026-12-01t10:00:00z", "2026-12-01T10:00:00.000Z", true),
            (
                "2026-12-01T10:00:00+00:00",
                "2026-12-01T10:00:00.000+0000",
                true,
            ),
            (
                "2026-12-01T10:00:00-05:30",
                "2026-12-01T10:00:00.000-0530",
                true,
            ),
            (
                "2026-12-01T10:00:00+0100",
                "2026-12-01T10:00:00.000+0100",
                true,
            ),
            ("2026-12-01T10:00:00.5Z", "2026-12-01T10:00:00.500Z", true),
            (
                "2026-12-01T10:00:00.123456+01:00",
                "2026-12-01T10:00:00.123+0100",
                false,
            ),
            (
                "2026-12-01T10:00:00.123000000Z",
                "2026-12-01T10:00:00.123Z",
                true,
            ),
        ] {
            let found = Datetime::of(text).expect(text);
            assert_eq!(
                (&*found.cedar(), found.is_whole()),
                (expected, is_whole),
                "{text}"
            );
        }
        for text in [
            "",
            "2026-12-01",
            "2026-12-01 10:00:00Z",
            "2026-12-01T10:00:00",
            "2026-12-01T10:00:00.Z",
            "2026-12-01T10:00:00.5",
            "2026-12-01T10:00:00,5Z",
            "2026-12-01T10:00:00=01:00",
            "2026-12-01T10:00:0é",
            "202612-01é",
        ] {
            assert_eq!(Datetime::of(text), None, "{text}");
        }
    }

    #[test]
    fn an_offset_is_hours_and_minutes() {
        for (offset, expected) in [
            ("Z", Some(0)),
            ("+01:00", Some(60)),
            ("-05:30", Some(-330)),
            ("-00:00", Some(0)),
            ("+24:00", None),
            ("+01:60", None),
            ("+1:000", None),
        ] {
            let text = format!("2026-12-01T10:00:00{offset}");
            let found = Datetime::of(&text).expect(offset);
            assert_eq!(found.offset_minutes(), expected, "{offset}");
        }
    }
}

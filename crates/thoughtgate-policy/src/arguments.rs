//! Builds the Cedar context of a call: the arguments that policies read, and the time.
//!
//! An argument of another type than policies use, one that Cedar cannot represent, or one that a
//! server could read differently is an error, and so a refusal: otherwise it could slip past a
//! `forbid`. Errors name arguments as the policies do and never quote what the agent sent, since they
//! are returned to agents and written to the audit.

use std::time::SystemTime;

use cedar_policy::{Context, RestrictedExpression};
use serde_json::value::RawValue;

use crate::reader;
use crate::reads::Reads;
use crate::time::rfc3339;

/// The context of one call, or the reason for refusing the call.
pub fn context(
    reads: &Reads,
    arguments: Option<&RawValue>,
    now: SystemTime,
) -> Result<Context, String> {
    // Cedar's own errors are dropped: they quote values.
    let failed = |_| "the arguments cannot be represented in Cedar".to_owned();
    let mut pairs = Vec::with_capacity(2);
    let record = match arguments {
        Some(raw) if !reads.arguments.is_empty() => reader::read(raw, &reads.arguments)?,
        _ => RestrictedExpression::new_record([]).map_err(failed)?,
    };
    pairs.push(("arguments".to_owned(), record));
    if reads.now {
        let text = rfc3339(now).ok_or("the system clock is before 1970 or after 9999")?;
        pairs.push(("now".to_owned(), RestrictedExpression::new_datetime(text)));
    }
    Context::from_pairs(pairs)
        .map_err(|_| "the arguments cannot be represented in Cedar".to_owned())
}

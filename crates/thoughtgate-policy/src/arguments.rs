//! Builds the Cedar context of a call: the arguments that policies read, and the time.
//!
//! An argument of another type than policies use, one that Cedar cannot represent, or one that a
//! server could read differently is an error, and so a refusal: otherwise it could slip past a
//! `forbid`.

use std::time::SystemTime;

use cedar_policy::{Context, RestrictedExpression};
use serde_json::value::RawValue;
use thoughtgate_panic::rfc3339;

use crate::fault::ContextError;
use crate::reader;
use crate::reads::Reads;

/// The context of one call, or the reason for refusing the call.
pub fn context(
    reads: &Reads,
    arguments: Option<&RawValue>,
    now: SystemTime,
) -> Result<Context, ContextError> {
    let mut pairs = Vec::with_capacity(2);
    let record = match arguments {
        // Some clients send `null` for no arguments, and it is absent at each level.
        Some(raw) if !reads.arguments.is_empty() && raw.get() != "null" => {
            reader::read(raw, &reads.arguments)?
        }
        _ => RestrictedExpression::new_record([]).map_err(|_| ContextError::Unrepresentable)?,
    };
    pairs.push(("arguments".to_owned(), record));
    if reads.now {
        let text = rfc3339(now).ok_or(ContextError::Clock)?;
        pairs.push(("now".to_owned(), RestrictedExpression::new_datetime(text)));
    }
    // Cedar's own error is dropped: it quotes values.
    Context::from_pairs(pairs).map_err(|_| ContextError::Unrepresentable)
}

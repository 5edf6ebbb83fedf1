//! Builds the Cedar context of a call: the arguments that policies read, and the time.
//!
//! An argument of another type than policies use, one that Cedar cannot represent, or one that a
//! server could read differently is an error, and so a refusal: otherwise it could slip past a
//! `forbid`.

use std::time::SystemTime;

use cedar_policy::{Context, RestrictedExpression};
use thoughtgate_mcp::JsonText;
use thoughtgate_panic::rfc3339;

use crate::fault::ContextError;
use crate::reader;
use crate::reads::Reads;

/// The context of one call, or the reason for refusing the call.
pub fn context(
    reads: &Reads,
    arguments: Option<JsonText<'_>>,
    now: SystemTime,
) -> Result<Context, ContextError> {
    let mut pairs = Vec::with_capacity(2);
    let record = match arguments {
        // Some clients send `null` for no arguments, and it is absent at each level.
        Some(json) if !reads.arguments.is_empty() && json.get() != "null" => {
            reader::read(json, &reads.arguments)?
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

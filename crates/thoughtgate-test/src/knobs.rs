//! Changes some knobs of a double, as its route `/control/knobs` does.
//!
//! Does not know the ranges of the knobs: each double checks its own.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// `knobs` with the fields of the JSON object `changes` replaced.
///
/// # Errors
/// A message with the reason: not an object, an unknown field, a value of the wrong type.
pub(crate) fn changed<K>(knobs: &K, changes: &[u8]) -> Result<K, String>
where
    K: Serialize + DeserializeOwned,
{
    let changes: Map<String, Value> = serde_json::from_slice(changes)
        .map_err(|error| format!("the knobs are not a JSON object: {error}"))?;
    let mut all = serde_json::to_value(knobs).map_err(|error| error.to_string())?;
    for (name, value) in changes {
        // An unknown name is added here, and refused below by `deny_unknown_fields`.
        all[name] = value;
    }
    serde_json::from_value(all).map_err(|error| format!("invalid knob: {error}"))
}

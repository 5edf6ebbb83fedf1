//! Durations as text, such as `10s` or `5m`, limited so that adding a few to a time cannot overflow.

use std::time::Duration;

use serde::de::{Deserializer, Error, Unexpected};
use serde::ser::Serializer;

/// A hundred years: long enough for users who mean "never".
const MAX: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let duration: Duration = humantime_serde::deserialize(deserializer)?;
    if duration > MAX {
        // The value itself is not quoted: it may be a secret in the wrong place.
        let found = Unexpected::Other("a longer duration");
        return Err(D::Error::invalid_value(
            found,
            &"a duration of at most 100 years",
        ));
    }
    Ok(duration)
}

pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    humantime_serde::serialize(duration, serializer)
}

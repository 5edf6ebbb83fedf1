//! One text for all spellings of a JSON value: for digests that bind an approval to a call.

use serde_json::Value;
use serde_json::value::RawValue;

/// Sorted keys, no white space, one spelling of each string; absent arguments are an empty object.
///
/// Numbers keep their own spelling, so that no two different ones can become equal by rounding; the
/// same call sent again has the same. Text that cannot be parsed stands for itself.
#[must_use]
pub fn canonical(raw: Option<&RawValue>) -> String {
    let Some(raw) = raw else {
        return "{}".to_owned();
    };
    let mut text = String::with_capacity(raw.get().len());
    match write(raw, &mut text) {
        Ok(()) => text,
        Err(_) => raw.get().to_owned(),
    }
}

fn write(raw: &RawValue, text: &mut String) -> serde_json::Result<()> {
    match raw.get().as_bytes().first() {
        Some(b'{') => {
            let mut members: Vec<(String, &RawValue)> = Vec::new();
            for (key, value) in
                serde_json::from_str::<std::collections::BTreeMap<String, &RawValue>>(raw.get())?
            {
                members.push((key, value));
            }
            text.push('{');
            for (index, (key, value)) in members.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                write(value, text)?;
            }
            text.push('}');
        }
        Some(b'[') => {
            text.push('[');
            for (index, item) in serde_json::from_str::<Vec<&RawValue>>(raw.get())?
                .into_iter()
                .enumerate()
            {
                if index > 0 {
                    text.push(',');
                }
                write(item, text)?;
            }
            text.push(']');
        }
        Some(b'"') => {
            text.push_str(&Value::from(serde_json::from_str::<String>(raw.get())?).to_string());
        }
        _ => text.push_str(raw.get()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        canonical(Some(&RawValue::from_string(text.to_owned()).unwrap()))
    }

    #[test]
    fn spellings_of_one_value_agree_and_others_do_not() {
        assert_eq!(
            of(" {\"b\" : [1, {\"d\":null,\"c\":\"\\u0061\"}], \"a\":true} "),
            r#"{"a":true,"b":[1,{"c":"a","d":null}]}"#
        );
        assert_eq!(canonical(None), of("{ }"));
        assert_ne!(of("9007199254740993"), of("9007199254740992"));
        assert_ne!(of("[1,2]"), of("[2,1]"));
        assert_ne!(of("\"1\""), of("1"));
    }
}

//! Times and durations in policies as numbers that can be compared. Cedar evaluates them.

use cedar_policy::{Context, Entities, EvalResult, Expression, Request, eval_expression};
use serde_json::Value;

use crate::schema;

/// Milliseconds of a day.
pub const DAY_MS: i128 = 24 * 60 * 60 * 1000;

/// Milliseconds of a literal `duration("…")`, or from 1970 to a literal `datetime("…")`, in Cedar's JSON form.
pub fn milliseconds(expression: &Value) -> Option<i64> {
    let text = |function: &str| expression[function].get(0)?["Value"].as_str();
    let written = match (text("duration"), text("datetime")) {
        (Some(duration), _) => format!("duration({duration:?}).toMilliseconds()"),
        (None, Some(time)) => {
            format!("datetime({time:?}).durationSince(datetime(\"1970-01-01\")).toMilliseconds()")
        }
        (None, None) => return None,
    };
    let expression: Expression = written.parse().ok()?;
    // Reads nothing of the request.
    let (agent, action, tool) = (schema::agent(""), schema::action(""), schema::tool(""));
    let request = Request::new(agent, action, tool, Context::empty(), None).ok()?;
    match eval_expression(&request, &Entities::empty(), &expression) {
        Ok(EvalResult::Long(milliseconds)) => Some(milliseconds),
        _ => None,
    }
}

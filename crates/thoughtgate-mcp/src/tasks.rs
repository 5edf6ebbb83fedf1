//! Results of tasks: adds the id of the task to a result (2025-11-25), recognises results that do not
//! end a call, and merges task lists.
//!
//! Stores no task and writes none: the code that knows the states of tasks does.

use serde_json::json;
use serde_json::value::RawValue;

use crate::members::string;
use crate::rewrite::{Edits, object, replace};
use crate::text::JsonText;

const RELATED: &str = "io.modelcontextprotocol/related-task";

/// The result with the id of its task in `_meta`; `None` if it is not an object.
#[must_use]
pub fn related(result: &RawValue, task: &str) -> Option<Box<RawValue>> {
    let members = object(result.get())?;
    let meta = members.iter().find(|(key, _)| key == "_meta");
    let meta = meta
        .map(|(_, meta)| meta.get())
        .filter(|meta| object(meta).is_some());
    let meta = meta.unwrap_or("{}");
    let mark = json!({ "taskId": task }).to_string();
    let meta = replace(meta, &object(meta)?, RELATED, &mark);
    RawValue::from_string(replace(result.get(), &members, "_meta", &meta)).ok()
}

/// Whether a tool result has `isError: true`.
#[must_use]
pub fn is_tool_error(result: &RawValue) -> bool {
    member(result, "isError").is_some_and(|raw| raw.get() == "true")
}

/// Whether a result ends its call, and is neither a request for input nor a task.
#[must_use]
pub fn is_complete(result: &RawValue) -> bool {
    member(result, "resultType").is_none_or(|kind| string(kind).as_deref() == Some("complete"))
        // In 2025-11-25 this member means that a task was made.
        && member(result, "task").is_none()
}

/// The answer to `tasks/list` with `tasks` before its own; `None` if it has no list of tasks.
#[must_use]
pub fn prepend(message: &[u8], tasks: &[Box<RawValue>]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(message).ok()?;
    let envelope = object(text)?;
    let (_, result) = envelope.iter().find(|(key, _)| key == "result")?;
    let members = object(result.get())?;
    let (_, listed) = members.iter().find(|(key, _)| key == "tasks")?;
    let upstream: Vec<&RawValue> = serde_json::from_str(listed.get()).ok()?;
    let all: Vec<&str> = tasks
        .iter()
        .map(|task| task.get())
        .chain(upstream.iter().map(|task| task.get()))
        .collect();
    let mut edits = Edits::new(text);
    edits.replace(listed.get(), format!("[{}]", all.join(",")));
    Some(edits.finish().into_bytes())
}

fn member<'a>(result: &'a RawValue, name: &str) -> Option<JsonText<'a>> {
    let members = object(result.get())?;
    members
        .into_iter()
        .find_map(|(key, value)| (key == name).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn a_result_is_tied_to_its_task_and_keeps_the_rest() {
        let marked = |text: &str| related(&raw(text), "t").map(|raw| raw.get().to_owned());
        assert_eq!(
            marked(r#"{"content":[ 1.0 ]}"#).as_deref(),
            Some(
                r#"{"content":[ 1.0 ],"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t"}}}"#
            )
        );
        assert_eq!(
            marked(r#"{"_meta":{"io.modelcontextprotocol/related-task":3,"a":1}}"#).as_deref(),
            Some(r#"{"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t"},"a":1}}"#)
        );
        assert_eq!(marked("3"), None);
    }

    #[test]
    fn kinds_of_results_are_told_apart() {
        assert!(is_tool_error(&raw(r#"{"isError":true}"#)));
        assert!(!is_tool_error(&raw(r#"{"isError":false}"#)));
        assert!(!is_tool_error(&raw("{}")));
        assert!(is_complete(&raw("{}")));
        assert!(is_complete(&raw(r#"{"resultType":"complete"}"#)));
        assert!(!is_complete(&raw(r#"{"resultType":"input_required"}"#)));
        assert!(!is_complete(&raw(r#"{"task":{"taskId":"x"}}"#)));
    }

    #[test]
    fn a_list_begins_with_what_is_put_before_it() {
        let list = r#"{"id":1,"result":{"tasks":[{"taskId":"b"}],"nextCursor":"c"}}"#;
        let both = prepend(list.as_bytes(), &[raw(r#"{"taskId":"a"}"#)]).unwrap();
        assert_eq!(
            String::from_utf8(both).unwrap(),
            r#"{"id":1,"result":{"tasks":[{"taskId":"a"},{"taskId":"b"}],"nextCursor":"c"}}"#
        );
        assert_eq!(prepend(br#"{"id":1,"error":{}}"#, &[]), None);
    }
}

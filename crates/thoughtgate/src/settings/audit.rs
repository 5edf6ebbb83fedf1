//! Checks `audit`: where its lines go, and which arguments they show.
//!
//! Opens no file: the proxy does.

use thoughtgate_proxy::{AuditSettings, Chosen, Sink, WhenFull};

use crate::config::{self, Audit};
use crate::mistakes::Mistakes;

/// Most arguments, and longest path of one, in bytes, that audit lines show: each takes room.
const ARGUMENTS_MAX: usize = 16;
const ARGUMENT_BYTES_MAX: usize = 128;

/// The settings of the audit; `None` if there is none.
pub fn settings(audit: &Audit) -> anyhow::Result<Option<AuditSettings>> {
    let mut wrong = Mistakes::default();
    let paths = &audit.arguments;
    wrong.require(paths.len() <= ARGUMENTS_MAX, || {
        format!(
            "`audit.arguments` has {} items; it can have at most {ARGUMENTS_MAX}",
            paths.len()
        )
    });
    for (at, _) in paths.iter().enumerate().filter(|(_, path)| !is_path(path)) {
        wrong.add(format!(
            "item {} of `audit.arguments` cannot name an argument; expected its name, or a path such as \
             `deploy.env`, of at most {ARGUMENT_BYTES_MAX} bytes (neither a pattern, nor JSONPath, nor a JSON \
             pointer)",
            at + 1
        ));
    }
    // Settings without a file would have no effect, while their author takes the audit to be written.
    wrong.require(audit.file.is_some() || *audit == Audit::default(), || {
        "`audit` has no `file`, so no line would be written; set it (a file, or stdout), or leave `audit` out"
            .to_owned()
    });
    let settings = audit.file.as_ref().map(|file| AuditSettings {
        sink: match file.to_str() {
            Some(config::STDOUT) => Sink::Stdout,
            _ => Sink::File(file.clone()),
        },
        wait: audit.wait,
        when_full: match audit.when_full {
            config::WhenFull::Refuse => WhenFull::Refuse,
            config::WhenFull::Drop => WhenFull::Drop,
        },
        arguments: Chosen::new(paths.clone()),
    });
    Ok(wrong.or(settings)?)
}

/// Whether an argument may be found by this path. What only looks like another notation is refused, since it
/// would show nothing, without a word.
fn is_path(path: &String) -> bool {
    let is_json_path = path == "$" || path.starts_with("$.") || path.starts_with("$[");
    let is_index = |rest: &str| {
        let index = rest.split_once(']').map(|(index, _)| index);
        index.is_some_and(|index| {
            !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    path.len() <= ARGUMENT_BYTES_MAX
        && path
            .split('.')
            .all(|key| !key.is_empty() && key.trim() == key)
        && !path.contains('*')
        && !path.starts_with('/')
        && !is_json_path
        && !path.split('[').skip(1).any(is_index)
}

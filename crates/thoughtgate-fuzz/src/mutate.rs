//! Changes to an input: bytes, pieces of other inputs, and words that have broken readers before.

use crate::random::Random;

/// Inputs grow up to this; what depends on size alone is generated, not mutated to it.
const BYTES_MAX: usize = 64 * 1024;

/// Pieces of text that two readers have read differently, or one has fallen over.
pub const WORDS: &[&str] = &[
    "1e999",
    "-1e999",
    "-0",
    "0.1e1",
    "9223372036854775808",
    "-9223372036854775809",
    "9007199254740993",
    "12345678901234567890123",
    "1.0",
    "01",
    "NaN",
    "null",
    "true",
    "\"\"",
    "\\ud800",
    "\\udfff\\ud800",
    "\\u0000",
    "\u{0}",
    "\\u212a",
    "\u{212a}",
    "\u{17f}",
    "\\/",
    "\\u006e",
    "\u{feff}",
    "\u{85}",
    "\u{2028}",
    "\u{1b}[2J",
    "\u{7f}",
    "\u{9b}",
    "\r",
    "\n",
    "\r\n",
    "\n\n",
    "\r\r",
    "\r\n\r\n",
    "{}",
    "[]",
    "[[[[[[[[",
    "]]]]]]]]",
    "{\"a\":",
    ",",
    ":",
    "\"",
    "\\",
    "jsonrpc",
    "\"2.0\"",
    "method",
    "Method",
    "params",
    "Params",
    "paramſ",
    "name",
    "Name",
    "NAME",
    "uri",
    "arguments",
    "Arguments",
    "_meta",
    "progressToken",
    "taskId",
    "task_id",
    "requestState",
    "inputResponses",
    "task",
    "id",
    "ID",
    "result",
    "Result",
    "error",
    "tools",
    "Tools",
    "toolſ",
    "cacheScope",
    "nextCursor",
    "tools/call",
    "tools/list",
    "tools\\/call",
    "notifications/cancelled",
    "response",
    "stream",
    "session/delete",
    "data:",
    "data: ",
    "data",
    "Data: ",
    " data: ",
    "event: message\n",
    "event: ping\n",
    "id: 1\n",
    ": comment\n",
    "retry: 1\n",
    "/srv/../etc/passwd",
    "/srv//x",
    "/srv/%2e%2e/x",
    "..",
    "file:",
    "~",
    "\\\\",
    "payload=",
    "%7B",
    "%",
    "%zz",
    "+",
    "&",
    "v0=",
    "thoughtgate-",
    "*",
    "&a",
    "<<: *a",
    "!!binary x",
    "- ",
    "---\n",
    "? ",
    "| \n",
    "${HOME}",
    "0x10",
    "1_000",
    "!!str",
];

/// A changed copy of `input`; `other` is one to take pieces of.
pub fn mutate(random: &mut Random, input: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=random.below(4) {
        change(random, &mut bytes, other);
    }
    // A word that was written over the end may be longer than what it replaced.
    bytes.truncate(BYTES_MAX);
    bytes
}

fn change(random: &mut Random, bytes: &mut Vec<u8>, other: &[u8]) {
    let at = random.below(bytes.len() + 1);
    let piece = |random: &mut Random, from: &[u8], longest: usize| {
        let start = random.below(from.len());
        let end = (start + 1 + random.below(longest)).min(from.len());
        from.get(start..end).unwrap_or_default().to_vec()
    };
    match random.below(10) {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = random.byte();
            }
        }
        2 => {
            let end = (at + 1 + random.below(8)).min(bytes.len());
            bytes.drain(at.min(end)..end);
        }
        3 => {
            let end = (at + 1 + random.below(64)).min(bytes.len());
            bytes.drain(at.min(end)..end);
        }
        4 => insert(bytes, at, &piece(random, &bytes.clone(), 32)),
        5 => insert(bytes, at, &piece(random, other, 64)),
        6 => {
            let word = random.pick(WORDS).as_bytes().to_vec();
            let end = (at + word.len()).min(bytes.len());
            bytes.splice(at..end, word);
        }
        7 => {
            // Something once more, many times: nesting, duplicates, long tokens.
            let piece = piece(random, &bytes.clone(), 12);
            let times = 1 << random.below(9);
            insert(bytes, at, &piece.repeat(times));
        }
        8 => bytes.truncate(at),
        _ => insert(bytes, at, random.pick(WORDS).as_bytes()),
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    if bytes.len() + piece.len() <= BYTES_MAX {
        bytes.splice(at..at, piece.iter().copied());
    }
}

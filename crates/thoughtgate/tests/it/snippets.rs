//! The snippets of `docs/clients.md`: those in Python and JavaScript are lines of the scripts that the
//! tests of the clients run, those in JSON are JSON.

use std::path::Path;

use crate::markdown;

/// Headings of the document, and folders of `tests/clients`.
const SCRIPTS: [(&str, &str); 9] = [
    ("Python SDK, version 1", "python-1/client.py"),
    ("Python SDK, version 2", "python-2/client.py"),
    ("FastMCP", "fastmcp/client.py"),
    ("LangGraph", "langgraph/client.py"),
    ("OpenAI Agents", "openai-agents/client.py"),
    ("Pydantic AI", "pydantic-ai/client.py"),
    ("mcp-use", "mcp-use/client.py"),
    ("TypeScript SDK, version 1", "typescript-1/client.mjs"),
    ("TypeScript SDK, version 2", "typescript-2/client.mjs"),
];

#[test]
fn every_snippet_is_part_of_a_script_that_is_tested() {
    let blocks = markdown::blocks(&markdown::document("docs/clients.md"));
    let code: Vec<_> = blocks
        .iter()
        .filter(|block| ["python", "js"].contains(&block.language.as_str()))
        .collect();
    assert_eq!(code.len(), SCRIPTS.len());
    for block in code {
        let named = SCRIPTS
            .iter()
            .find(|(heading, _)| *heading == block.heading);
        let (_, path) = named.unwrap_or_else(|| panic!("no script for {}", block.heading));
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
        let script = std::fs::read_to_string(folder.join(path)).unwrap();
        let lines: Vec<&str> = script.lines().map(str::trim).collect();
        for line in block.text.lines().map(str::trim) {
            assert!(lines.contains(&line), "{path} has no line: {line}");
        }
    }
}

#[test]
fn every_configuration_is_json_with_the_header() {
    let blocks = markdown::blocks(&markdown::document("docs/clients.md"));
    let mut count = 0;
    for block in blocks.iter().filter(|block| block.language == "json") {
        let parsed: Result<serde_json::Value, _> = serde_json::from_str(&block.text);
        let value = parsed.unwrap_or_else(|error| panic!("line {}: {error}", block.line));
        let text = value.to_string();
        for part in ["http://127.0.0.1:8080/mcp", "x-agent", "alice"] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        count += 1;
    }
    assert_eq!(count, 3);
}

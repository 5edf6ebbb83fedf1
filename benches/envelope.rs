//! Time to read one MCP message: parsing, the header check, and the scan for duplicate keys.
//!
//! Three sizes of one `tools/call`: 200 bytes, 10 KB, and 1 MB in two shapes, since one long string
//! and many small members take different work. Measures no IO and no decision.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use thoughtgate_mcp::{Era, HeaderField, Headers, Limits, check_headers, parse, unique_keys};

/// The protocol version of the message, in its header and in its body.
const VERSION: &str = "2026-07-28";

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("envelope");
    for (name, arguments) in [
        ("200B", text(1)),
        ("10KB", members(10_000)),
        ("1MB_members", members(1_000_000)),
        ("1MB_text", text(1_000_000)),
    ] {
        let body = body(&arguments);
        // A message that is refused fails here, before anything is timed.
        read(&body);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(BenchmarkId::new("parse", name), |bencher| {
            bencher.iter(|| parse(black_box(&body), &Limits::default()).expect("a valid body"));
        });
        group.bench_function(
            BenchmarkId::new("parse_and_check_headers", name),
            |bencher| {
                bencher.iter(|| read(black_box(&body)));
            },
        );
        let envelope = parse(&body, &Limits::default()).expect("a valid body");
        let arguments = envelope.params.arguments;
        let raw = arguments.expect("the call has arguments").raw();
        group.bench_function(BenchmarkId::new("unique_keys", name), |bencher| {
            bencher.iter(|| unique_keys(black_box(raw)).expect("no duplicate keys"));
        });
    }
    group.finish();
    criterion.final_summary();
}

/// Reads a message as the proxy does, and checks the result.
fn read(body: &[u8]) {
    let envelope = parse(body, &Limits::default()).expect("a valid body");
    assert_eq!(envelope.params.name.as_deref(), Some("search"));
    let headers = Headers {
        protocol_version: HeaderField::One(VERSION.as_bytes()),
        method: HeaderField::One(b"tools/call"),
        name: HeaderField::One(b"search"),
    };
    let era = check_headers(&envelope, &headers).expect("headers that agree");
    assert!(matches!(era, Era::Modern));
}

fn body(arguments: &str) -> Vec<u8> {
    format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{{\"name\":\"search\",\
         \"arguments\":{arguments},\"_meta\":{{\
         \"io.modelcontextprotocol/protocolVersion\":\"{VERSION}\",\
         \"io.modelcontextprotocol/clientCapabilities\":{{}}}}}}}}"
    )
    .into_bytes()
}

/// Arguments with one string of `bytes` bytes.
fn text(bytes: usize) -> String {
    format!("{{\"q\":\"{}\"}}", "x".repeat(bytes))
}

/// Arguments with small objects of `bytes` bytes in all.
fn members(bytes: usize) -> String {
    let item =
        |number: usize| format!("{{\"id\":{number},\"name\":\"item {number}\",\"tags\":[1,2]}}");
    let mut items = Vec::new();
    let mut length = 0;
    while length < bytes {
        items.push(item(items.len()));
        length += items.last().map_or(0, String::len) + 1;
    }
    format!("{{\"items\":[{}]}}", items.join(","))
}

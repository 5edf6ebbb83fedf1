//! The fields that cross the proxy, and those that a decision depends on.

use super::*;

fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_static(value));
    }
    headers
}

fn names(headers: &HeaderMap) -> Vec<&str> {
    let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    names
}

#[test]
fn hop_by_hop_fields_and_those_that_connection_names_are_dropped() {
    let mut headers = map(&[
        ("connection", "keep-alive, X-Hop"),
        ("x-hop", "1"),
        ("transfer-encoding", "chunked"),
        ("te", "trailers"),
        ("mcp-session-id", "s"),
        ("authorization", "Bearer t"),
        ("mcp-param-region", "eu"),
        ("last-event-id", "7"),
    ]);
    strip_response(&mut headers);
    let left = [
        "authorization",
        "last-event-id",
        "mcp-param-region",
        "mcp-session-id",
    ];
    assert_eq!(names(&headers), left);
}

#[test]
fn each_hop_by_hop_field_is_known_as_one() {
    assert!(HOP_BY_HOP.iter().all(is_hop_by_hop));
    assert!(!is_hop_by_hop(&header::CACHE_CONTROL) && !is_hop_by_hop(&header::HOST));
}

#[test]
fn connection_cannot_name_governed_fields_away() {
    let governed = [
        "accept",
        "authorization",
        "content-length",
        "content-type",
        "forwarded",
        "host",
        "mcp-name",
        "mcp-param-region",
        "mcp-session-id",
        "origin",
        "x-agent",
        "x-forwarded-for",
    ];
    let mut headers = map(&governed.map(|name| (name, "1")));
    for name in governed {
        headers.append(header::CONNECTION, HeaderValue::from_static(name));
    }
    let all = HeaderValue::from_static("close, X-Agent ,x-hop,  MCP-Name, \"x\"");
    headers.append(header::CONNECTION, all);
    headers.insert("x-hop", HeaderValue::from_static("1"));
    strip_request(
        &mut headers,
        Some(&HeaderName::from_static("x-agent")),
        true,
    );
    assert_eq!(names(&headers), governed);
}

#[test]
fn names_that_a_cgi_server_reads_as_governed_ones_are_dropped() {
    let twins = [
        "accept_encoding",
        "content_length",
        "mcp.name",
        "mcp_name",
        "mcp_param_region",
        "transfer_encoding",
        "x!agent",
        "x-forwarded_for",
        "x_agent",
    ];
    let others = ["mcp-name", "x-agent", "x-trace", "x_request_id"];
    let mut headers = map(&twins.map(|name| (name, "1")));
    headers.extend(map(&others.map(|name| (name, "1"))));
    strip_request(
        &mut headers,
        Some(&HeaderName::from_static("x-agent")),
        false,
    );
    assert_eq!(names(&headers), others);
    let mut headers = map(&[("x-agent", "1"), ("x_agent", "1")]);
    strip_request(
        &mut headers,
        Some(&HeaderName::from_static("x_agent")),
        false,
    );
    assert_eq!(names(&headers), ["x_agent"]);
}

#[test]
fn fields_that_could_mislead_are_dropped_unless_they_name_the_agent() {
    let all = [
        "forwarded",
        "x-agent",
        "x-forwarded-for",
        "x-original-url",
        "x-real-ip",
        "x_rewrite_url",
    ];
    let left = |identity: Option<&'static str>, is_trusted| {
        let mut headers = map(&all.map(|name| (name, "1")));
        let identity = identity.map(HeaderName::from_static);
        strip_request(&mut headers, identity.as_ref(), is_trusted);
        names(&headers).join(" ")
    };
    assert_eq!(left(None, false), "x-agent x-forwarded-for");
    assert_eq!(
        left(Some("x-real-ip"), false),
        "x-agent x-forwarded-for x-real-ip"
    );
    assert_eq!(
        left(None, true),
        "forwarded x-agent x-forwarded-for x-real-ip"
    );
}

#[test]
fn media_types_are_compared_by_essence_and_charset() {
    for good in [
        "application/json",
        "Application/JSON; charset=UTF-8",
        "application/json;charset=\"utf-8\"",
    ] {
        assert!(
            is_media_type(&map(&[("content-type", good)]), "application/json"),
            "{good}"
        );
    }
    for bad in [
        "text/plain",
        "application/json; charset=utf-16",
        "application/jsonp",
        "",
    ] {
        assert!(
            !is_media_type(&map(&[("content-type", bad)]), "application/json"),
            "{bad}"
        );
    }
    let twice = map(&[
        ("content-type", "application/json"),
        ("content-type", "text/plain"),
    ]);
    assert!(!is_media_type(&twice, "application/json"));
}

#[test]
fn only_identity_is_no_encoding() {
    assert!(!is_encoded(&map(&[])));
    assert!(!is_encoded(&map(&[("content-encoding", "identity")])));
    assert!(is_encoded(&map(&[("content-encoding", "gzip")])));
    assert!(is_encoded(&map(&[
        ("content-encoding", "identity"),
        ("content-encoding", "br")
    ])));
}

#[test]
fn fields_that_repeat_the_body_are_found_and_repeated_ones_told_apart() {
    let headers = map(&[
        ("mcp-name", "a"),
        ("mcp-method", "tools/call"),
        ("mcp-session-id", "s"),
        ("mcp-name", "a"),
    ]);
    let found = governed(&headers);
    assert_eq!(found.protocol_version, HeaderField::Absent);
    assert_eq!(found.method, HeaderField::One(b"tools/call"));
    assert_eq!(found.name, HeaderField::Many);
}

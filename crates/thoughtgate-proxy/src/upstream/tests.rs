//! URLs of upstreams, and the headers of their answers.

use super::*;

#[test]
fn headers_agree_with_the_body_as_it_was_read() {
    let framed = |status: u16, fields: &[(&str, &str)]| {
        let mut response = Response::builder().status(status);
        for (name, value) in fields {
            response = response.header(*name, *value);
        }
        let mut response = response.body(Full::new(Bytes::from("12345"))).unwrap();
        let is_clean = framing(&mut response)?;
        let lengths = response.headers().get_all(header::CONTENT_LENGTH).iter();
        let lengths: Vec<_> = lengths.map(|length| length.to_str().unwrap()).collect();
        Ok::<_, &str>((is_clean, lengths.join(" ")))
    };
    let (length, coding) = ("content-length", "transfer-encoding");
    for (status, fields, expected) in [
        (200, &[(length, "5")][..], (true, "5")),
        (200, &[], (true, "")),
        (200, &[(length, "5"), (length, "5")], (true, "5")),
        (200, &[(length, "5, 5")], (true, "5")),
        (200, &[(coding, "Chunked")], (true, "")),
        (200, &[(length, "3"), (coding, "chunked")], (false, "")),
        (204, &[], (true, "")),
        (204, &[(length, "0")], (true, "0")),
        (204, &[(length, "5")], (false, "5")),
        (304, &[(coding, "chunked")], (false, "")),
    ] {
        let expected = Ok((expected.0, expected.1.to_owned()));
        assert_eq!(framed(status, fields), expected, "{status} {fields:?}");
    }
    assert!(framed(101, &[]).is_err());
    for codings in [
        &[(coding, "gzip, chunked")][..],
        &[(coding, "gzip")],
        &[(coding, "gzip"), (coding, "chunked")],
        &[(coding, "chunked, chunked")],
    ] {
        assert!(framed(200, codings).is_err(), "{codings:?}");
    }
}

fn target(url: &str) -> Result<Target, String> {
    Target::new(&url.parse().unwrap()).map_err(|error| error.to_string())
}

#[test]
fn urls_are_taken_apart() {
    let plain = target("http://[::1]:3000/v1/mcp").unwrap();
    assert_eq!((plain.host.as_str(), plain.port), ("::1", 3000));
    assert_eq!(plain.host_header(), "[::1]:3000");
    assert_eq!(plain.path(None), "/v1/mcp");
    assert_eq!(plain.path(Some("a=1")), "/v1/mcp?a=1");
    assert_eq!(target("http://tools.internal").unwrap().port, 80);
}

#[test]
fn unusable_urls_say_why() {
    assert!(target("ftp://x/").unwrap_err().contains("http://"));
    assert!(target("/mcp").unwrap_err().contains("http://"));
    assert!(
        target("http://user:secret@x/")
            .unwrap_err()
            .contains("without user")
    );
    assert!(
        target("http://x/mcp?token=1")
            .unwrap_err()
            .contains("no query")
    );
}

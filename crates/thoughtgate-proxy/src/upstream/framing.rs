//! Agreement between the headers of an upstream's answer and its body (RFC 9112 §6.3).
//!
//! Reads no body: hyper has decided where it ends.

use http::{Response, StatusCode, Version, header};

use crate::headers::sole;

/// Makes the headers of an answer agree with its body as hyper reads it, so that no reader behind the
/// proxy finds a different end of it. Returns whether the connection can be used again (RFC 9112 §6.3).
pub fn framing<B: http_body::Body>(response: &mut Response<B>) -> Result<bool, &'static str> {
    if response.status().is_informational() {
        return Err("it switches protocols, which was not requested");
    }
    // The client is answered in its own HTTP version, whatever the upstream's is.
    *response.version_mut() = Version::HTTP_11;
    let is_bodiless = matches!(
        response.status(),
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
    );
    let exact = response.body().size_hint().exact();
    let headers = response.headers_mut();
    let lengths = headers.get_all(header::CONTENT_LENGTH).iter().count();
    if headers.contains_key(header::TRANSFER_ENCODING) {
        let coding = sole(headers, &header::TRANSFER_ENCODING);
        if !coding.is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            return Err("its Transfer-Encoding is not exactly `chunked`");
        }
        headers.remove(header::CONTENT_LENGTH);
        return Ok(lengths == 0 && !is_bodiless);
    }
    if lengths == 0 {
        return Ok(true);
    }
    let length = sole(headers, &header::CONTENT_LENGTH);
    if is_bodiless {
        return Ok(length == Some("0"));
    }
    if length.is_none_or(|length| length.contains(','))
        && let Some(exact) = exact
    {
        headers.insert(header::CONTENT_LENGTH, exact.into());
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::Full;

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
}

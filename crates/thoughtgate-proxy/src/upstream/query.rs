//! A client's query beside that of the upstream's URL, in which no parameter of the URL may be set again: it
//! could hold a token, or limit what the server offers.
//!
//! Parameters pass byte for byte or not at all. Servers read names in different ways (PHP replaces `.`, qs
//! removes brackets, some ignore case), so that names are compared by all forms in which one could be read.

/// Limit of the times that a name is decoded: servers behind others may decode it again.
const DECODED_MAX: usize = 4;

/// The parameters of `query` that may be appended to a URL with the query `own`, each behind a `&`.
#[cold]
#[must_use]
pub fn added(own: &str, query: &str) -> String {
    let own_pairs = own.split(['&', ';']);
    let taken: Vec<String> = own_pairs
        .filter_map(|pair| forms(name(pair)))
        .flatten()
        .collect();
    let sets_again = |pair: &str| {
        let forms = forms(name(pair));
        // A name with a malformed escape could be read as any.
        forms.is_none_or(|forms| forms.iter().any(|form| taken.contains(form)))
    };
    let mut added = String::new();
    for parameter in query.split('&') {
        // Some servers begin another parameter at each `;`.
        if !sets_again(parameter) && !parameter.split(';').any(sets_again) {
            added.push('&');
            added.push_str(parameter);
        }
    }
    added
}

fn name(pair: &str) -> &str {
    pair.split('=').next().unwrap_or_default()
}

/// The forms in which servers may read a name; `None` if it has an escape that cannot be decoded.
fn forms(name: &str) -> Option<Vec<String>> {
    let mut forms = Vec::new();
    let mut name = name.to_owned();
    let mut is_unclosed = false;
    for round in 0..DECODED_MAX {
        // PHP reads `a[b` as `a_b`, unless a `]` follows, which it may look for before or after decoding.
        is_unclosed |= name.contains('[') && !name.contains(']');
        let start = name.trim_start();
        // qs reads `[a]` as `a`, and Rack passes over brackets of both kinds.
        let opened = start.trim_start_matches(['[', ']']);
        let base = opened.split(['[', ']']).next().unwrap_or_default();
        // C programs end a name at a zero byte.
        let short = base.split('\0').next().unwrap_or_default();
        forms.extend([base, base.trim_end(), short].map(folded));
        if is_unclosed {
            forms.push(folded(start.trim_end_matches(']')));
        }
        match decoded(&name) {
            Some(next) if next == name => return Some(forms),
            Some(next) => name = next,
            None if round == 0 => return None,
            None => return Some(forms),
        }
    }
    None
}

/// The name without case, and with `_` for all but letters and digits.
fn folded(name: &str) -> String {
    let upper = name.chars().flat_map(char::to_uppercase);
    let lower = upper.flat_map(char::to_lowercase);
    lower
        .map(|char| if char.is_alphanumeric() { char } else { '_' })
        .collect()
}

/// The name with its escapes decoded once; `None` if one is malformed, or the result is not UTF-8.
fn decoded(name: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "token=1&read_only=1;f%5Bx%5D=1";

    #[test]
    fn parameters_pass_byte_for_byte() {
        for query in [
            "",
            "a=1&b",
            "filter%5Btype%5D=x&a%20b=1&a+b=1&k%C3%A9=1",
            "tools=a;b&x=%zz&y=%26token=2",
            "to+ken=2&read[x]=1&a.b=1&tokens=1&100%25=1",
            "%2574oke=1",
        ] {
            assert_eq!(added(OWN, query), format!("&{query}"));
        }
    }

    #[test]
    fn no_parameter_of_the_url_is_set_again_however_it_is_written() {
        for parameter in [
            "token=2",
            "TOKEN=2",
            "token",
            "token[]=2",
            "]token=2",
            "%5Dread_only=0",
            "[]read_only=0",
            "][read_only=0",
            "token%5B%5D=2",
            "[token]=2",
            "tok%65n=2",
            "tok%2565n=2",
            "+token=2",
            "token%20=2",
            "token%00x=2",
            "to%E2%84%AAen=2",
            "a;token=2",
            "a=1;b;TOK%45N=2",
            "read.only=0",
            "read+only=0",
            "READ[only=0",
            "read[only%5D=0",
            "f[y]=1",
            "F=1",
            // Nobody knows how these are read.
            "tok%u0065n=2",
            "a%=1",
            "a%ff=1",
            "%252525252525=1",
        ] {
            assert_eq!(added(OWN, parameter), "", "{parameter}");
            assert_eq!(
                added(OWN, &format!("a=1&{parameter}&b")),
                "&a=1&b",
                "{parameter}"
            );
        }
    }
}

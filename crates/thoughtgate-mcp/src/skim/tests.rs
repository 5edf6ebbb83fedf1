//! What is read, what is left to `serde_json`, and that both agree.

use serde_json::value::RawValue;

use super::*;

/// The keys and values of the object in `text`, and of those in it along `path`.
fn skimmed(text: &str, path: &[&str]) -> Option<Vec<(usize, String, String)>> {
    let members = skim(text, path, 4)?.members;
    let owned = |(level, (key, value)): (usize, Member<'_>)| {
        (level, key.into_owned(), value.get().to_owned())
    };
    Some(members.into_iter().map(owned).collect())
}

fn member(level: usize, key: &str, value: &str) -> (usize, String, String) {
    (level, key.to_owned(), value.to_owned())
}

#[test]
fn members_keep_their_spelling() {
    let text =
        r#" { "a" : -0.5e+10 ,"b":"x\"\u00e9\\" ,"c":[ {"d":[]},{} , [true,null]] , "a":{} } "#;
    let expected = [
        member(0, "a", "-0.5e+10"),
        member(0, "b", r#""x\"\u00e9\\""#),
        member(0, "c", r#"[ {"d":[]},{} , [true,null]]"#),
        member(0, "a", "{}"),
    ];
    assert_eq!(skimmed(text, &[]).unwrap(), expected);
    assert_eq!(skimmed("{}", &[]).unwrap(), []);
    let spread = "\t{\r\n  \"a\" :\n[ 1,\n 2\t]\n}\n";
    let expected = [member(0, "a", "[ 1,\n 2\t]")];
    assert_eq!(skimmed(spread, &[]).unwrap(), expected);
}

#[test]
fn objects_on_the_path_are_read_too() {
    let text = r#"{"params":{"_meta":{"x":1},"y":{"_meta":2}},"_meta":3}"#;
    let expected = [
        member(2, "x", "1"),
        member(1, "_meta", "null"),
        member(1, "y", r#"{"_meta":2}"#),
        member(0, "params", "null"),
        member(0, "_meta", "3"),
    ];
    assert_eq!(skimmed(text, &["params", "_meta"]).unwrap(), expected);
    assert_eq!(skimmed(r#"{"params":[]}"#, &["params"]), None);
}

#[test]
fn levels_are_counted() {
    for (text, depth) in [
        ("{}", 1),
        (r#"{"a":"[[["}"#, 1),
        (r#"{"a":[],"b":1}"#, 2),
        (r#"{"a":[[1],{"b":[{}]}],"c":[]}"#, 5),
        (r#"{"params":{}}"#, 2),
        (r#"{"params":{"x":[[]],"_meta":{}},"y":[]}"#, 4),
        (r#"{"params":{"_meta":{"x":[]}}}"#, 4),
    ] {
        assert_eq!(
            skim(text, &["params", "_meta"], 4).unwrap().depth,
            depth,
            "{text}"
        );
    }
}

#[test]
fn what_is_beyond_the_subset_is_left_to_another_parser() {
    let deep = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!("{{\"a\":{open}{close}}}")
    };
    assert!(skimmed(&deep(64), &[]).is_some());
    for text in [
        r#"{"\u0061":1}"#,
        &deep(65),
        // Not JSON.
        "",
        "{",
        "[]",
        "{}{}",
        r#"{"a":1,}"#,
        r#"{"a":[1,]}"#,
        r#"{"a":[,1]}"#,
        r#"{"a":[1 2]}"#,
        r#"{"a":{"b"}}"#,
        r#"{"a":{"b":1]}"#,
        r#"{"a":[1}}"#,
        r#"{"a":[[]}"#,
        r#"{"a":01}"#,
        r#"{"a":-}"#,
        r#"{"a":1.}"#,
        r#"{"a":1e}"#,
        r#"{"a":+1}"#,
        r#"{"a":.5}"#,
        r#"{"a":nul}"#,
        r#"{"a":nulls}"#,
        r#"{"a":"\x"}"#,
        r#"{"a":"\u00g0"}"#,
        r#"{"a":"\u00"#,
        r#"{"a":"x"#,
        "{\"a\":\"\u{1}\"}",
        "{\"a\u{1f}\":1}",
        "{\"a\":\"01234567890123456789012345678901234567890123456789\n\"}",
        "{\"a\":\u{b}1}",
        r"{'a':1}",
        r"{a:1}",
        r#"{"a" 1}"#,
    ] {
        assert_eq!(skimmed(text, &[]), None, "{text}");
    }
}

/// Every text that is read here is read alike by `serde_json`: whatever small change is made to texts with all
/// that JSON has, nothing is accepted that it refuses.
#[test]
fn nothing_is_accepted_that_serde_json_refuses() {
    let seeds = [
        r#"{"a":[1,-2.5E-3,"\ud83d\ude00",{"b":null,"c":[true,false,[],{}]}],"d":"0123456789012345678901234567\n890"}"#,
        r#"{"params":{"name":"a","arguments":{"k":"v","n":0},"_meta":{"x":{}}}, "id" : 1e2}"#,
    ];
    let bytes = b"{}[]:,\"\\ \n\t/u0a19-+.eEtrfn\x1f";
    let mut read = 0;
    for seed in seeds {
        for at in 0..=seed.len() {
            for byte in bytes {
                let byte = char::from(*byte);
                let (before, after) = seed.split_at(at);
                let next = after.get(1..).unwrap_or_default();
                for text in [
                    format!("{before}{byte}{after}"),
                    format!("{before}{byte}{next}"),
                    format!("{before}{next}"),
                ] {
                    read += usize::from(same_as_serde_json(&text));
                }
            }
        }
    }
    assert!(read > 1_000, "{read} texts were read");
}

/// Whether the text is read; if so, its members are those that `serde_json` finds.
fn same_as_serde_json(text: &str) -> bool {
    let Some(Skimmed { members, .. }) = skim(text, &[], 4) else {
        return false;
    };
    let known = serde_json::from_str::<Ordered<'_>>(text);
    let Ordered(known) = known.unwrap_or_else(|error| panic!("{error}: {text}"));
    let skimmed: Vec<(&str, &str)> = (members.iter())
        .map(|(_, (key, value))| (key.as_ref(), value.get()))
        .collect();
    assert_eq!(skimmed, known, "{text}");
    true
}

/// The members of an object, in their order.
struct Ordered<'a>(Vec<(&'a str, &'a str)>);

impl<'de> serde::Deserialize<'de> for Ordered<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Ordered<'de>;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((key, value)) = map.next_entry::<&str, &RawValue>()? {
                    members.push((key, value.get()));
                }
                Ok(Ordered(members))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

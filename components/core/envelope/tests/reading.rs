//! The reader of envelopes against `serde_json`: the same texts are accepted, and the same members are found in them.

#[path = "same/mod.rs"]
mod same;

use proptest::prelude::*;
use same::same;
use serde_json::Value;

#[test]
fn texts_that_readers_disagree_about() {
    for text in [
        r#"{"a":1e400}"#,
        r#"{"a":-0,"b":-0.0e-0}"#,
        r#"{"a":01}"#,
        r#"{"a":1.}"#,
        r#"{"a":.5}"#,
        r#"{"a":+1}"#,
        r#"{"a":1e}"#,
        r#"{"a":-}"#,
        r#"{"a":"\ud800"}"#,
        r#"{"a":"\ud83d\ude00","type":"\u0074yping"}"#,
        r#"{"\ud800":1}"#,
        r#"{"a":"\u12"}"#,
        r#"{"a":"\u00zz"}"#,
        r#"{"a":"\x"}"#,
        "{\"a\":\"\u{7f}\u{80}\"}",
        "{\"a\":\"\t\"}",
        "{\"a\":\"\0\"}",
        "\u{feff}{}",
        "{}\u{c}",
        " \t\r\n{ } ",
        r#"{"a":tru}"#,
        r#"{"a":truee}"#,
        r#"{"a":nullnull}"#,
        r#"{"a":[1,]}"#,
        r#"{"a":[,1]}"#,
        r#"{"a":{"b"}}"#,
        r#"{"a":{"b":1,"b":2}}"#,
        r#"{"a":1,}"#,
        r#"{,}"#,
        r#"{"a" 1}"#,
        r#"{'a':1}"#,
        r#"{"a":[}]}"#,
        r#"{"a":{]}}"#,
        r#"{"":""}"#,
        r#"{"type":{"type":"x"},"serverId":["serverId"]}"#,
    ] {
        same(text.as_bytes());
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-c\"\\\\\n\u{0}äx😀]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("[a-d\"]{0,2}", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn any_envelope() -> impl Strategy<Value = Vec<u8>> {
    let key = prop_oneof![
        Just("type".to_owned()),
        Just("serverId".to_owned()),
        Just("requestId".to_owned()),
        Just("payload".to_owned()),
        "[a-cä\"\\\\]{0,3}"
    ];
    (
        prop::collection::btree_map(key, any_value(), 0..6),
        any::<bool>(),
    )
        .prop_map(|(members, pretty)| {
            let value = Value::Object(members.into_iter().collect());
            if pretty {
                serde_json::to_vec_pretty(&value)
            } else {
                serde_json::to_vec(&value)
            }
            .expect("serializes")
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn envelopes_are_read_as_serde_json_reads_them(bytes in any_envelope()) {
        same(&bytes);
    }

    #[test]
    fn damaged_envelopes_too(bytes in any_envelope(), at in any::<prop::sample::Index>(), with in any::<u8>(), how in 0..3) {
        let mut bytes = bytes;
        let at = at.index(bytes.len());
        match how {
            0 => bytes[at] = with,
            1 => bytes.insert(at, b"\"\\{}[],:0e-. u"[usize::from(with) % 14]),
            _ => drop(bytes.remove(at)),
        }
        same(&bytes);
    }

    #[test]
    fn soup_too(soup in "\\{[\\[\\]{}\",:0-9.eE+\\- a\\\\untrlfsd8\u{1}]{0,28}\\}?") {
        same(soup.as_bytes());
    }
}

//! The reader of envelopes against `serde_json`: the same texts are accepted, and the same members are found in them.

use envelope::{DecodeError, Envelope, Hint};
use proptest::prelude::*;
use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::{Value, value::RawValue};

/// What `serde_json` finds: keys and the texts of their values.
struct Reference;

impl<'de> Visitor<'de> for Reference {
    type Value = Vec<(String, &'de str)>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members: Self::Value = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, &'de RawValue>()? {
            if members.iter().any(|(other, _)| *other == key) {
                return Err(serde::de::Error::custom("twice"));
            }
            members.push((key, value.get()));
        }
        Ok(members)
    }
}

fn reference(bytes: &[u8]) -> Option<Vec<(String, &str)>> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let members = reader.deserialize_map(Reference).ok()?;
    std::str::from_utf8(bytes).ok().and(reader.end().ok()).map(|()| members)
}

fn same(bytes: &[u8]) {
    let ours = Envelope::decode(bytes);
    if matches!(ours, Err(DecodeError::Depth | DecodeError::Members)) {
        return;
    }
    let expected = reference(bytes);
    let shown = String::from_utf8_lossy(bytes);
    assert_eq!(ours.is_ok(), expected.is_some(), "{shown:?}: {ours:?}");
    let (Ok(ours), Some(expected)) = (ours, expected) else { return };
    let found: Vec<_> = ours.members().iter().map(|member| (member.key.clone().into_owned(), member.raw)).collect();
    assert_eq!(found, expected, "{shown:?}");
    for member in ours.members() {
        assert_eq!(&bytes[member.span.clone()], member.raw.as_bytes());
        let text = serde_json::from_str::<String>(member.raw).ok();
        assert_eq!(ours.text(&member.key).as_deref(), text.as_deref(), "{shown:?}");
    }
    // The host's look agrees with the reading.
    let hint = Hint::scan(bytes);
    assert_eq!(hint.kind, ours.text("type"), "{shown:?}");
    assert_eq!(hint.server_id, ours.text("serverId"), "{shown:?}");
    assert_eq!(hint.request_id(), ours.text("requestId"), "{shown:?}");
}

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
            prop::collection::btree_map("[a-d\"]{0,2}", inner, 0..5).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn any_envelope() -> impl Strategy<Value = Vec<u8>> {
    let key = prop_oneof![Just("type".to_owned()), Just("serverId".to_owned()), Just("requestId".to_owned()), "[a-cä\"\\\\]{0,3}"];
    (prop::collection::btree_map(key, any_value(), 0..6), any::<bool>()).prop_map(|(members, pretty)| {
        let value = Value::Object(members.into_iter().collect());
        if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.expect("serializes")
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

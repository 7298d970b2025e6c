//! An envelope through this reader and through `serde_json`; shared with the checks that fuzzing drives.

use envelope::{
    DecodeError, Envelope, Scan,
    tape::{Flaw, Tape},
};
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
    std::str::from_utf8(bytes)
        .ok()
        .and(reader.end().ok())
        .map(|()| members)
}

/// Reads `bytes` as an envelope, and fails where two readers differ.
pub(crate) fn same(bytes: &[u8]) {
    let ours = Envelope::decode(bytes);
    // The gateway scans bytes before they are checked.
    let scan = Scan::new(bytes);
    let request_id = scan.request_id();
    let kind = scan.envelope_type();
    if matches!(ours, Err(DecodeError::Depth | DecodeError::Members)) {
        return;
    }
    let expected = reference(bytes);
    let shown = String::from_utf8_lossy(bytes);
    assert_eq!(ours.is_ok(), expected.is_some(), "{shown:?}: {ours:?}");
    let (Ok(ours), Some(expected)) = (ours, expected) else {
        return;
    };
    let found: Vec<_> = ours
        .members()
        .iter()
        .map(|member| (member.key.clone().into_owned(), member.raw))
        .collect();
    assert_eq!(found, expected, "{shown:?}");
    for member in ours.members() {
        assert_eq!(&bytes[member.span.clone()], member.raw.as_bytes());
        let text = serde_json::from_str::<String>(member.raw).ok();
        assert_eq!(
            ours.text(&member.key).as_deref(),
            text.as_deref(),
            "{shown:?}"
        );
    }
    // The scan agrees with the strict reading.
    assert_eq!(scan.type_name(), ours.text("type"), "{shown:?}");
    assert_eq!(scan.server_id(), ours.text("serverId"), "{shown:?}");
    assert_eq!(request_id, ours.text("requestId"), "{shown:?}");
    assert_eq!(
        kind.map(|kind| kind.name),
        ours.text("type")
            .and_then(|name| envelope::find(&name))
            .map(|kind| kind.name),
        "{shown:?}"
    );
    taped(bytes, &ours, &shown);
}

/// A member that is read onto a tape on the way is the same member, and its tape is proven exactly when `serde_json`
/// reads the value and finds no member twice.
fn taped(bytes: &[u8], ours: &Envelope<'_>, shown: &str) {
    let Some(kind) = ours.text("type") else {
        return;
    };
    let mut tape = Tape::default();
    let read =
        Envelope::decode_taping(bytes, &mut tape, &kind, "payload").expect("it was read before");
    let spans = |envelope: &Envelope<'_>| {
        envelope
            .members()
            .iter()
            .map(|member| member.span.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(spans(&read), spans(ours), "{shown:?}");
    assert_eq!(
        tape.is_empty(),
        ours.member("payload").is_none(),
        "{shown:?}"
    );
    let Some(payload) = ours.member("payload") else {
        return;
    };
    let value = serde_json::from_str::<Value>(payload.raw);
    match tape.prove(read.as_str()) {
        Ok(()) => assert!(value.is_ok(), "{shown:?}: {value:?}"),
        Err(Flaw::Duplicate) => {}
        Err(flaw) => assert!(value.is_err(), "{shown:?}: {flaw}"),
    }
}

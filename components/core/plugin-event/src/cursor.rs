//! A tape as a representation of JSON that the schema validator understands.

use envelope::tape::{Kind, Slot, Tape, View};
use jsonschema::{
    JsonType,
    json::{Array, Json, JsonNumber, Node, NodeIdentity, Object},
};
use serde_json::{Number, Value};
use std::borrow::Cow;

/// The representation.
pub(crate) struct Borrowed;

impl Json for Borrowed {
    type Node<'a> = Cursor<'a>;
    type PreparedKey = Box<str>;
    type StringBuffer = Tape;

    const KEYS_PER_LOOKUP: usize = 2;

    fn prepare_key(key: &str) -> Box<str> {
        key.into()
    }

    fn with_string_node<T>(buffer: &mut Tape, string: &str, f: impl FnOnce(Cursor<'_>) -> T) -> T {
        buffer.become_text(string);
        f(Cursor::root(&buffer.view("")))
    }
}

/// One value of a tape that was proven.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    tape: &'a View<'a>,
    at: u32,
}

impl<'a> Cursor<'a> {
    pub(crate) fn root(tape: &'a View<'a>) -> Self {
        Self { tape, at: 0 }
    }

    fn slot(self) -> Slot {
        self.tape.slot(self.at)
    }

    fn is(self, kind: Kind) -> bool {
        self.slot().kind == kind
    }

    fn string(self) -> Option<&'a str> {
        let slot = self.slot();
        matches!(slot.kind, Kind::Text | Kind::Decoded).then(|| self.tape.text(slot))
    }

    /// Depth is bounded by the parser.
    fn value(self) -> Value {
        let slot = self.slot();
        match slot.kind {
            Kind::Null => Value::Null,
            Kind::True => Value::Bool(true),
            Kind::False => Value::Bool(false),
            Kind::Number | Kind::Wide => Value::Number(Literal(self.tape.text(slot)).number()),
            Kind::Text | Kind::Escaped | Kind::Decoded => {
                Value::String(self.tape.text(slot).to_owned())
            }
            Kind::Array => Value::Array(self.elements().map(Self::value).collect()),
            Kind::Object => Value::Object(
                self.members()
                    .map(|(key, value)| (key.to_owned(), value.value()))
                    .collect(),
            ),
        }
    }
}

impl<'a> Node<'a, Borrowed> for Cursor<'a> {
    type Object = Self;
    type Array = Self;
    type Number = Literal<'a>;

    fn as_object(&self) -> Option<Self> {
        self.is(Kind::Object).then_some(*self)
    }

    fn as_array(&self) -> Option<Self> {
        self.is(Kind::Array).then_some(*self)
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        self.string().map(Cow::Borrowed)
    }

    fn as_number(&self) -> Option<Literal<'a>> {
        self.is(Kind::Number)
            .then(|| Literal(self.tape.text(self.slot())))
    }

    fn as_boolean(&self) -> Option<bool> {
        match self.slot().kind {
            Kind::True => Some(true),
            Kind::False => Some(false),
            _ => None,
        }
    }

    fn is_null(&self) -> bool {
        self.is(Kind::Null)
    }

    fn is_number(&self) -> bool {
        self.is(Kind::Number)
    }

    fn is_string(&self) -> bool {
        matches!(self.slot().kind, Kind::Text | Kind::Decoded)
    }

    fn json_type(&self) -> JsonType {
        match self.slot().kind {
            Kind::Null => JsonType::Null,
            Kind::True | Kind::False => JsonType::Boolean,
            Kind::Number | Kind::Wide => JsonType::Number,
            Kind::Text | Kind::Escaped | Kind::Decoded => JsonType::String,
            Kind::Array => JsonType::Array,
            Kind::Object => JsonType::Object,
        }
    }

    fn string_length(&self) -> Option<u64> {
        let slot = self.slot();
        matches!(slot.kind, Kind::Text | Kind::Decoded).then(|| self.tape.chars(slot))
    }

    fn equals_value(&self, expected: &Value) -> bool {
        match (self.slot().kind, expected) {
            (Kind::Null, Value::Null)
            | (Kind::True, Value::Bool(true))
            | (Kind::False, Value::Bool(false)) => true,
            (Kind::Text | Kind::Decoded, Value::String(expected)) => {
                self.string() == Some(expected)
            }
            (Kind::Number, Value::Number(_)) => {
                jsonschema::json::cmp::equal(&self.value(), expected)
            }
            // In place and only as far as both agree: a schema may compare one large value with hundreds.
            (Kind::Array, Value::Array(expected)) => {
                Array::len(self) == expected.len()
                    && self
                        .elements()
                        .zip(expected)
                        .all(|(element, expected)| element.equals_value(expected))
            }
            (Kind::Object, Value::Object(expected)) => {
                Object::len(self) == expected.len()
                    && self.members().all(|(name, value)| {
                        let expected = expected.get(name);
                        expected.is_some_and(|expected| value.equals_value(expected))
                    })
            }
            _ => false,
        }
    }

    fn to_value(&self) -> Cow<'a, Value> {
        Cow::Owned(self.value())
    }

    fn identity(&self) -> Option<NodeIdentity> {
        Some(NodeIdentity::tagged(
            std::ptr::from_ref(self.tape) as usize,
            self.at,
        ))
    }
}

impl<'a> Object<'a, Borrowed> for Cursor<'a> {
    type Node = Self;
    type MemberName = &'a str;
    type MembersIter = Members<'a>;

    fn len(&self) -> usize {
        self.slot().count as usize
    }

    fn get(&self, key: &Box<str>) -> Option<Self> {
        self.tape.member(self.at, key).map(|at| Self {
            tape: self.tape,
            at,
        })
    }

    fn members(&self) -> Members<'a> {
        Members {
            tape: self.tape,
            at: self.at + 1,
            end: self.tape.end(self.at),
        }
    }
}

impl<'a> Array<'a, Borrowed> for Cursor<'a> {
    type Node = Self;
    type ElementsIter = Elements<'a>;

    fn len(&self) -> usize {
        self.slot().count as usize
    }

    fn elements(&self) -> Elements<'a> {
        Elements {
            tape: self.tape,
            at: self.at + 1,
            end: self.tape.end(self.at),
        }
    }
}

/// The members of an object.
pub(crate) struct Members<'a> {
    tape: &'a View<'a>,
    at: u32,
    end: u32,
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, Cursor<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let (key, value) = (self.at, self.at + 1);
        self.at = self.tape.after(value);
        Some((
            self.tape.text(self.tape.slot(key)),
            Cursor {
                tape: self.tape,
                at: value,
            },
        ))
    }
}

/// The elements of an array.
pub(crate) struct Elements<'a> {
    tape: &'a View<'a>,
    at: u32,
    end: u32,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Cursor<'a>;

    fn next(&mut self) -> Option<Cursor<'a>> {
        if self.at >= self.end {
            return None;
        }
        let at = self.at;
        self.at = self.tape.after(at);
        Some(Cursor {
            tape: self.tape,
            at,
        })
    }
}

/// A number as it is written; the parser has seen to it that it is finite.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Literal<'a>(&'a str);

impl Literal<'_> {
    fn number(self) -> Number {
        serde_json::from_str(self.0).unwrap_or_else(|_| Number::from(0))
    }
}

impl JsonNumber for Literal<'_> {
    fn as_u64(&self) -> Option<u64> {
        self.0.parse().ok()
    }

    fn as_i64(&self) -> Option<i64> {
        self.0.parse().ok()
    }

    fn as_f64(&self) -> Option<f64> {
        short_decimal(self.0).or_else(|| self.0.parse().ok())
    }

    fn as_str(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.0)
    }

    fn to_number(&self) -> Cow<'_, Number> {
        Cow::Owned(self.number())
    }

    fn is_integer(&self) -> bool {
        self.0
            .bytes()
            .all(|byte| byte == b'-' || byte.is_ascii_digit())
            || jsonschema::json::JsonNumber::is_integer(&self.number())
    }
}

/// A decimal number of up to 15 digits without exponent. Such digits and such powers of ten are exact in 64-bit
/// floating point, so that one division rounds correctly; most numbers of payloads are of this kind, and bounds ask for
/// each of them twice.
fn short_decimal(text: &str) -> Option<f64> {
    const TENS: [f64; 16] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
    ];
    let positive = text.strip_prefix('-').unwrap_or(text).as_bytes();
    if positive.len() >= TENS.len() {
        return None;
    }
    let (mut digits, mut decimals, mut step) = (0u64, 0, 0);
    for byte in positive {
        match byte {
            b'0'..=b'9' => {
                digits = digits * 10 + u64::from(byte - b'0');
                decimals += step;
            }
            b'.' => step = 1,
            _ => return None,
        }
    }
    let value = digits as f64 / TENS[decimals];
    Some(if text.len() > positive.len() {
        -value
    } else {
        value
    })
}

#[cfg(test)]
mod tests {
    use super::short_decimal;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn short_decimals_are_what_the_standard_library_reads(text in "-?(0|[1-9][0-9]{0,9})(\\.[0-9]{1,9})?") {
            let expected: f64 = text.parse().expect("a number");
            prop_assert!(short_decimal(&text).is_none_or(|value| value.to_bits() == expected.to_bits()), "{}", text);
            prop_assert_eq!(short_decimal(&text).is_some(), text.trim_start_matches('-').len() < 16);
        }
    }
}

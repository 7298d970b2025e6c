//! A [`Tape`] as a representation of JSON that the schema validator understands.

use crate::tape::{Kind, Slot, Tape};
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
    type StringBuffer = Tape<'static>;

    const KEYS_PER_LOOKUP: usize = 2;

    fn prepare_key(key: &str) -> Box<str> {
        key.into()
    }

    fn with_string_node<T>(buffer: &mut Tape<'static>, string: &str, f: impl FnOnce(Cursor<'_>) -> T) -> T {
        buffer.become_text(string);
        f(Cursor::root(buffer))
    }
}

/// One value of a tape.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    tape: &'a Tape<'a>,
    at: u32,
}

impl<'a> Cursor<'a> {
    pub(crate) fn root(tape: &'a Tape<'a>) -> Self {
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
            Kind::Number => Value::Number(Literal(self.tape.text(slot)).number()),
            Kind::Text | Kind::Decoded => Value::String(self.tape.text(slot).to_owned()),
            Kind::Array => Value::Array(self.elements().map(Self::value).collect()),
            Kind::Object => Value::Object(self.members().map(|(key, value)| (key.to_owned(), value.value())).collect()),
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
        self.is(Kind::Number).then(|| Literal(self.tape.text(self.slot())))
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
            Kind::Number => JsonType::Number,
            Kind::Text | Kind::Decoded => JsonType::String,
            Kind::Array => JsonType::Array,
            Kind::Object => JsonType::Object,
        }
    }

    fn string_length(&self) -> Option<u64> {
        // A character begins at each byte that continues none.
        self.string().map(|text| text.bytes().filter(|byte| byte & 0xc0 != 0x80).count() as u64)
    }

    fn equals_value(&self, expected: &Value) -> bool {
        match (self.slot().kind, expected) {
            (Kind::Null, Value::Null) | (Kind::True, Value::Bool(true)) | (Kind::False, Value::Bool(false)) => true,
            (Kind::Text | Kind::Decoded, Value::String(expected)) => self.string() == Some(expected),
            (Kind::Number, Value::Number(_)) | (Kind::Array, Value::Array(_)) | (Kind::Object, Value::Object(_)) => {
                jsonschema::json::cmp::equal(&self.value(), expected)
            }
            _ => false,
        }
    }

    fn to_value(&self) -> Cow<'a, Value> {
        Cow::Owned(self.value())
    }

    fn identity(&self) -> Option<NodeIdentity> {
        Some(NodeIdentity::tagged(std::ptr::from_ref(self.tape) as usize, self.at))
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
        self.tape.member(self.at, key).map(|at| Self { tape: self.tape, at })
    }

    fn members(&self) -> Members<'a> {
        Members { tape: self.tape, at: self.at + 1, end: self.slot().end }
    }
}

impl<'a> Array<'a, Borrowed> for Cursor<'a> {
    type Node = Self;
    type ElementsIter = Elements<'a>;

    fn len(&self) -> usize {
        self.slot().count as usize
    }

    fn elements(&self) -> Elements<'a> {
        Elements { tape: self.tape, at: self.at + 1, end: self.slot().end }
    }
}

/// The members of an object.
pub(crate) struct Members<'a> {
    tape: &'a Tape<'a>,
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
        Some((self.tape.text(self.tape.slot(key)), Cursor { tape: self.tape, at: value }))
    }
}

/// The elements of an array.
pub(crate) struct Elements<'a> {
    tape: &'a Tape<'a>,
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
        Some(Cursor { tape: self.tape, at })
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
        self.0.parse().ok()
    }

    fn as_str(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.0)
    }

    fn to_number(&self) -> Cow<'_, Number> {
        Cow::Owned(self.number())
    }

    fn is_integer(&self) -> bool {
        self.0.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit()) || jsonschema::json::JsonNumber::is_integer(&self.number())
    }
}

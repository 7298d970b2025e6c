//! The shape of a manifest's values as data, shared by the checker, the JSON Schema and the reference. Rules between
//! fields are in `rules`.

use crate::format::Format;

/// A value's shape.
#[derive(Debug)]
pub(crate) enum Shape {
    /// Anything.
    Any,
    /// Any object.
    Object,
    /// The number 1, as `schemaVersion` wants it.
    One,
    Bool,
    Number,
    Integer {
        min: u64,
        max: u64,
    },
    /// A text, by its length in characters.
    Text {
        min: usize,
        max: usize,
    },
    Format(Format),
    Choice(&'static [&'static str]),
    /// A JSON Schema: an object, a boolean, or either as text.
    Schema,
    List(&'static Shape),
    Map(Option<Format>, &'static Shape),
    Record(&'static Record),
    /// One setting; what no form can show is only warned about.
    Setting,
    /// The settings: a map of them, or a JSON Schema of an object.
    Settings,
    /// A short form as text, or the full one.
    TextOr(&'static Shape, &'static Shape),
}

/// An object with known fields.
#[derive(Debug)]
pub(crate) struct Record {
    /// Name in the reference and in the schema's `$defs`.
    pub(crate) name: &'static str,
    /// Whether an unknown key is refused, because ignoring it would widen what the object admits. Keys that start with
    /// `x-` are free in every record.
    pub(crate) closed: bool,
    pub(crate) about: &'static str,
    pub(crate) fields: &'static [Field],
    /// Fields of which one is the canonical spelling of the others; first the canonical one.
    pub(crate) spellings: &'static [Spellings],
}

/// Several spellings of one field.
#[derive(Debug)]
pub(crate) struct Spellings {
    pub(crate) names: &'static [&'static str],
    pub(crate) required: bool,
    /// Whether they may differ when more than one is given.
    pub(crate) may_differ: bool,
}

/// A field of a record.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) required: bool,
    pub(crate) shape: Shape,
    pub(crate) meaning: &'static str,
}

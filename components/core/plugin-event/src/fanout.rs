//! How much a schema grows when its references are followed.
//!
//! `anyOf` with two references to a definition that does the same doubles with each level: 28 levels in 1,817 bytes
//! take seconds on a payload of one byte. The number counted here is that of subschemas on all paths from the root; a
//! reference back into a schema that is being followed ends the path, because the payload bounds such loops.

use crate::error::SchemaError;
use limits::plugin_event::SCHEMA_REF_FANOUT_MAX;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use std::collections::HashMap;

/// What following the references of a schema showed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Shape {
    /// Subschemas on all paths.
    total: u64,
    /// Paths that end in a reference back.
    back: u64,
}

impl Shape {
    /// Whether the schema refers back to itself in more than one way.
    pub(crate) fn branches(self) -> bool {
        self.back > 1
    }

    fn add(&mut self, other: Self) {
        self.total = self.total.saturating_add(other.total);
        self.back = self.back.saturating_add(other.back);
    }
}

/// Refuses a document that grows beyond [`SCHEMA_REF_FANOUT_MAX`], and one with a reference that points nowhere.
pub(crate) fn check(document: &Value) -> Result<Shape, SchemaError> {
    let Some(root) = document.as_object() else {
        return Ok(Shape::default());
    };
    let mut fanout = Fanout {
        document,
        anchors: anchors(document),
        known: HashMap::new(),
    };
    let shape = fanout.object(root)?;
    // Definitions that nothing refers to are compiled too, and each has to stay below the bound by itself.
    for key in ["$defs", "definitions"] {
        if let Some(Value::Object(definitions)) = root.get(key) {
            for definition in definitions.values().filter_map(Value::as_object) {
                fanout.object(definition)?;
            }
        }
    }
    Ok(shape)
}

type Anchors<'v> = HashMap<&'v str, Vec<&'v Value>>;

/// Every place that `#name` may mean.
fn anchors(document: &Value) -> Anchors<'_> {
    let mut found: Anchors<'_> = HashMap::new();
    let mut waiting = vec![document];
    while let Some(value) = waiting.pop() {
        match value {
            Value::Array(items) => waiting.extend(items),
            Value::Object(members) => {
                for (key, child) in members {
                    let name = match (key.as_str(), child) {
                        ("$anchor" | "$dynamicAnchor", Value::String(name)) => Some(name.as_str()),
                        ("$id", Value::String(name)) => name.strip_prefix('#'),
                        _ => None,
                    };
                    if let Some(name) = name {
                        found.entry(name).or_default().push(value);
                    }
                    waiting.push(child);
                }
            }
            _ => {}
        }
    }
    found
}

struct Fanout<'v> {
    document: &'v Value,
    anchors: Anchors<'v>,
    /// Finished objects by address; `None` while one is being followed.
    known: HashMap<*const Map<String, Value>, Option<Shape>>,
}

impl<'v> Fanout<'v> {
    fn object(&mut self, object: &'v Map<String, Value>) -> Result<Shape, SchemaError> {
        let address: *const _ = object;
        match self.known.get(&address) {
            Some(Some(shape)) => return Ok(*shape),
            Some(None) => return Ok(Shape { total: 1, back: 1 }),
            None => {}
        }
        self.known.insert(address, None);
        let is_root = self
            .document
            .as_object()
            .is_some_and(|root| std::ptr::eq(root, object));
        let mut shape = Shape { total: 1, back: 0 };
        for (key, value) in object {
            if is_root && matches!(key.as_str(), "$defs" | "definitions") {
                continue;
            }
            if let ("$ref" | "$dynamicRef" | "$recursiveRef", Value::String(target)) =
                (key.as_str(), value)
            {
                shape.add(self.target(target, key)?);
            }
            shape.add(self.below(value)?);
        }
        if shape.total > SCHEMA_REF_FANOUT_MAX {
            return Err(SchemaError::RefFanout);
        }
        self.known.insert(address, Some(shape));
        Ok(shape)
    }

    /// Sum over the objects in `value`; arrays are unrolled so that only objects cost stack.
    fn below(&mut self, value: &'v Value) -> Result<Shape, SchemaError> {
        let (mut waiting, mut shape) = (vec![value], Shape::default());
        while let Some(value) = waiting.pop() {
            match value {
                Value::Array(items) => waiting.extend(items),
                Value::Object(object) => shape.add(self.object(object)?),
                _ => {}
            }
        }
        Ok(shape)
    }

    fn target(&mut self, reference: &str, keyword: &str) -> Result<Shape, SchemaError> {
        let dangling = || SchemaError::DanglingReference {
            pointer: format!("{keyword} \"{}\"", crate::cut(reference)),
        };
        let fragment = reference.strip_prefix('#').unwrap_or_default();
        let fragment = percent_decode_str(fragment)
            .decode_utf8()
            .map_err(|_| dangling())?;
        let document = self.document;
        if fragment.is_empty() || fragment.starts_with('/') {
            return self.below(document.pointer(&fragment).ok_or_else(dangling)?);
        }
        let places = self.anchors.get(&*fragment).cloned().ok_or_else(dangling)?;
        let mut shape = Shape::default();
        for place in places {
            shape.add(self.below(place)?);
        }
        Ok(shape)
    }
}

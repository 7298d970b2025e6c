//! Checks a tree against the tables and then against the rules between fields. A tree without an error deserializes
//! into `types`.

use crate::{
    format::Format,
    json,
    node::{Kind, Member, Node, Span, push},
    shape::{Field, Record, Shape, Spellings},
    tables,
    text::{hidden, short},
    violation::{Code, Report, Severity},
};
use capability::{CapabilityId, nearest};
use limits::manifest::{LIST_ENTRIES_MAX, MISSPELT_AMONG_MAX};

/// Checks a whole manifest.
pub(crate) fn manifest(node: &Node, strict: bool, report: &mut Report) {
    let mut walk = Walk {
        report,
        pointer: String::new(),
        strict,
    };
    walk.record(node, &tables::MANIFEST);
    crate::rules::between_fields(node, &mut walk);
}

/// The place of the walk, and where it reports.
pub(crate) struct Walk<'r> {
    report: &'r mut Report,
    pointer: String,
    strict: bool,
}

impl Walk<'_> {
    /// Reports about the value at the current place: the field's name, then `rule`.
    pub(crate) fn say(&mut self, code: Code, span: Span, rule: &str, help: Option<String>) {
        self.report
            .push_rule(code, code.severity(), &self.pointer, span, rule, help);
    }

    /// The word that was probably meant; none when the report is full.
    pub(crate) fn nearest<'a>(
        &self,
        word: &str,
        candidates: impl IntoIterator<Item = &'a str>,
    ) -> Option<&'a str> {
        if self.report.is_full() {
            None
        } else {
            nearest(word, candidates)
        }
    }

    /// Does `work` one token further down.
    pub(crate) fn at<T>(&mut self, token: &str, work: impl FnOnce(&mut Self) -> T) -> T {
        let base = self.pointer.len();
        push(&mut self.pointer, token);
        let result = work(self);
        self.pointer.truncate(base);
        result
    }

    fn mistyped(&mut self, node: &Node, wanted: &str) {
        let help = match (&node.kind, wanted) {
            (Kind::Text(text), "true or false") if text == "true" || text == "false" => {
                Some("leave out the quotes".to_owned())
            }
            (Kind::Text(text), _) if wanted.contains("number") && text.parse::<f64>().is_ok() => {
                Some("leave out the quotes".to_owned())
            }
            _ => None,
        };
        self.say(
            Code::BadType,
            node.span.clone(),
            &format!("must be {wanted}, not {}", node.kind_name()),
            help,
        );
    }

    pub(crate) fn shape(&mut self, node: &Node, shape: &Shape) {
        match (shape, &node.kind) {
            (Shape::Any, _)
            | (Shape::Object, Kind::Object(_))
            | (Shape::Bool, Kind::Bool(_))
            | (Shape::Number, Kind::Number(_)) => {}
            (Shape::One, Kind::Number(number)) if number.as_f64() == Some(1.0) => {}
            (Shape::One, _) => self.not_one(node),
            (Shape::Integer { min, max }, Kind::Number(number)) => {
                self.integer(node, number, *min, *max)
            }
            (Shape::Text { min, max }, Kind::Text(text)) => self.text(node, text, *min, *max),
            (Shape::Format(format), Kind::Text(text)) => self.format(node, text, *format),
            (Shape::Choice(names), Kind::Text(text)) => self.choice(node, text, names),
            (Shape::Schema, Kind::Text(text)) => self.schema_text(node, text),
            (Shape::Schema, Kind::Object(_) | Kind::Bool(_)) => {}
            (Shape::List(item), Kind::List(items)) => {
                if self.count(node, items.len()) {
                    for (index, node) in items.iter().enumerate() {
                        self.at(&index.to_string(), |walk| walk.shape(node, item));
                    }
                }
            }
            (Shape::Map(key, value), Kind::Object(members)) => {
                if self.count(node, members.len()) {
                    for member in members {
                        self.at(&member.key, |walk| walk.entry(member, *key, value));
                    }
                }
            }
            (Shape::Record(record), _) => self.record(node, record),
            (Shape::TextOr(short, _), Kind::Text(_)) => self.shape(node, short),
            (Shape::TextOr(_, full), Kind::Object(_)) => self.shape(node, full),
            (Shape::Setting, _) => crate::rules::setting(node, self),
            // A text under "type" makes it a JSON Schema; a setting of the name "type" is an object.
            (Shape::Settings, Kind::Object(_)) if node.text_at("type").is_some() => {}
            (Shape::Settings, Kind::Object(_)) => {
                self.shape(node, &Shape::Map(None, &Shape::Setting))
            }
            _ => self.mistyped(node, wanted(shape)),
        }
    }

    fn not_one(&mut self, node: &Node) {
        let help = matches!(&node.kind, Kind::Text(text) if text == "1")
            .then(|| "leave out the quotes".to_owned());
        let found = short(&node.to_value().to_string());
        self.say(
            Code::SchemaVersion,
            node.span.clone(),
            &format!("must be the number 1, not {found}"),
            help,
        );
    }

    fn format(&mut self, node: &Node, text: &str, format: Format) {
        // The help for a capability is expensive; a report that is full would drop it.
        if format == Format::Capability && self.report.is_full() {
            if CapabilityId::find(text).is_none() {
                self.say(
                    Code::UnknownCapability,
                    node.span.clone(),
                    "is no capability",
                    None,
                );
            }
            return;
        }
        if let Err((code, rule, help)) = format.check(text) {
            self.say(code, node.span.clone(), &rule, help);
        }
    }

    fn entry(&mut self, member: &Member, key: Option<Format>, value: &Shape) {
        if let Some(Err((code, rule, help))) = key.map(|key| key.check(&member.key)) {
            self.say(code, member.key_span.clone(), &rule, help);
        }
        self.shape(&member.value, value);
    }

    pub(crate) fn record(&mut self, node: &Node, record: &Record) {
        let Kind::Object(members) = &node.kind else {
            return self.mistyped(node, "an object");
        };
        for member in members {
            match record.fields.iter().find(|field| field.name == member.key) {
                Some(Field { shape, .. }) => {
                    self.at(&member.key, |walk| walk.shape(&member.value, shape))
                }
                None => self.unknown(member, record),
            }
        }
        let brace = node.span.start..node.span.start;
        for field in record
            .fields
            .iter()
            .filter(|field| field.required && node.get(field.name).is_none())
        {
            let code = if matches!(field.shape, Shape::One) {
                Code::SchemaVersion
            } else {
                Code::MissingField
            };
            let help = misplaced(members, record, field.name);
            self.at(field.name, |walk| {
                walk.say(code, brace.clone(), "is missing", help)
            });
        }
        for spellings in record.spellings {
            self.spellings(node, spellings, &brace);
        }
    }

    fn spellings(&mut self, node: &Node, spellings: &Spellings, brace: &Span) {
        let given: Vec<(&&str, &Node)> = spellings
            .names
            .iter()
            .filter_map(|name| Some((name, node.get(name)?)))
            .collect();
        match given.as_slice() {
            [] if spellings.required => {
                let others = spellings.names[1..].join("\" or \"");
                let help = format!("\"{others}\" will do as well");
                self.at(spellings.names[0], |walk| {
                    walk.say(Code::MissingField, brace.clone(), "is missing", Some(help))
                });
            }
            [(first, one), (second, two), ..]
                if !spellings.may_differ && one.to_value() != two.to_value() =>
            {
                let rule = format!("and {first:?} are the same field, but differ");
                self.at(second, |walk| {
                    walk.say(
                        Code::Ambiguous,
                        two.span.clone(),
                        &rule,
                        Some(format!("keep {first:?}")),
                    )
                });
            }
            _ => {}
        }
    }

    fn unknown(&mut self, member: &Member, record: &Record) {
        if member.key.starts_with("x-") {
            return;
        }
        let help = match self.nearest(&member.key, record.fields.iter().map(|field| field.name)) {
            Some(name) => format!("did you mean {name:?}?"),
            None => "own fields start with \"x-\"".to_owned(),
        };
        let severity = if self.strict || record.closed {
            Severity::Error
        } else {
            Code::UnknownKey.severity()
        };
        self.at(&member.key, |walk| {
            walk.report.push_rule(
                Code::UnknownKey,
                severity,
                &walk.pointer,
                member.key_span.clone(),
                "is not a known field",
                Some(help),
            );
        });
    }

    fn integer(&mut self, node: &Node, number: &serde_json::Number, min: u64, max: u64) {
        let Some(value) = number.as_u64() else {
            let whole = number.as_f64().is_some_and(|value| value.fract() == 0.0);
            let rule = format!("must be a whole number from {min} to {max}, not {number}");
            let code = if whole {
                Code::OutOfRange
            } else {
                Code::BadType
            };
            return self.say(code, node.span.clone(), &rule, None);
        };
        if !(min..=max).contains(&value) {
            self.say(
                Code::OutOfRange,
                node.span.clone(),
                &format!("must be from {min} to {max}, not {value}"),
                None,
            );
        }
    }

    fn text(&mut self, node: &Node, text: &str, min: usize, max: usize) {
        let chars = text.chars().count();
        if chars < min {
            self.say(Code::Empty, node.span.clone(), "must not be empty", None);
        } else if chars > max {
            self.say(
                Code::TooLong,
                node.span.clone(),
                &format!("has {chars} characters, at most {max} are allowed"),
                None,
            );
        }
        if let Some(letter) = hidden(text) {
            let rule = format!("holds the invisible character U+{:04X}", letter as u32);
            self.say(
                Code::HiddenText,
                node.span.clone(),
                &rule,
                Some("remove it; it is shown escaped".to_owned()),
            );
        }
    }

    fn choice(&mut self, node: &Node, text: &str, names: &[&str]) {
        if names.contains(&text) {
            return;
        }
        let help = self
            .nearest(text, names.iter().copied())
            .map(|name| format!("did you mean {name:?}?"));
        let rule = format!(
            "must be one of \"{}\", not {:?}",
            names.join("\", \""),
            short(text)
        );
        self.say(Code::UnknownValue, node.span.clone(), &rule, help);
    }

    fn schema_text(&mut self, node: &Node, text: &str) {
        let mut inner = Report::default();
        let sound = json::read(text.as_bytes(), &mut inner)
            .is_some_and(|schema| matches!(schema.kind, Kind::Object(_) | Kind::Bool(_)));
        let fault = inner
            .finish()
            .into_iter()
            .next()
            .map(|violation| violation.message);
        if !sound || fault.is_some() {
            let rule = match fault {
                Some(fault) => format!("must be a JSON Schema, but its text is not JSON: {fault}"),
                None => "must be a JSON Schema: an object or a boolean".to_owned(),
            };
            self.say(Code::BadSchema, node.span.clone(), &rule, None);
        }
    }

    fn count(&mut self, node: &Node, entries: usize) -> bool {
        if entries > LIST_ENTRIES_MAX {
            self.say(
                Code::TooMany,
                node.span.clone(),
                &format!("has {entries} entries, at most {LIST_ENTRIES_MAX} are allowed"),
                None,
            );
        }
        entries <= LIST_ENTRIES_MAX
    }
}

/// What a shape wants, with its article, for "must be …, not …".
fn wanted(shape: &Shape) -> &'static str {
    match shape {
        Shape::Any => "a value",
        Shape::Object | Shape::Map(..) | Shape::Record(_) | Shape::Setting | Shape::Settings => {
            "an object"
        }
        Shape::One => "the number 1",
        Shape::Bool => "true or false",
        Shape::Number => "a number",
        Shape::Integer { .. } => "a whole number",
        Shape::Text { .. } | Shape::Format(_) | Shape::Choice(_) => "a text",
        Shape::Schema => "a JSON Schema: an object, a boolean, or either as JSON text",
        Shape::List(_) => "a list",
        Shape::TextOr(..) => "a text or an object",
    }
}

/// Help for a missing field: an unknown key that looks like it.
fn misplaced(members: &[Member], record: &Record, name: &str) -> Option<String> {
    let unknown = members
        .iter()
        .take(MISSPELT_AMONG_MAX)
        .map(|member| member.key.as_str())
        .filter(|key| record.fields.iter().all(|field| field.name != *key));
    nearest(name, unknown).map(|key| format!("is {key:?} meant to be it?"))
}

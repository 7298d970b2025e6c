//! Reads TOML into the same tree as JSON.

use crate::{
    node::{Kind, Member, Node, push},
    violation::{Code, Report},
};
use limits::manifest::DEPTH_MAX;
use toml::de::{DeTable, DeValue};

/// Reads the whole of `bytes`; a syntax error, a repeated key included, ends in `None`.
pub(super) fn read(bytes: &[u8], report: &mut Report) -> Option<Node> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = error.valid_up_to();
            report.error(
                Code::BadToml,
                "",
                at..at + 1,
                "not UTF-8: this byte cannot be part of a text",
            );
            return None;
        }
    };
    match DeTable::parse(text) {
        Ok(table) => {
            let whole = table.span();
            let mut reader = Reader {
                pointer: String::new(),
                report,
                unusable: false,
            };
            let kind = reader.table(table.get_ref(), 1);
            (!reader.unusable).then(|| Node::new(0..whole.end.max(text.len()), kind))
        }
        Err(error) => {
            let code = if error.message().contains("duplicate key") {
                Code::DuplicateKey
            } else {
                Code::BadToml
            };
            let span = error.span().unwrap_or(0..0);
            report.error(
                code,
                "",
                span,
                error.message().lines().next().unwrap_or("not TOML"),
            );
            None
        }
    }
}

struct Reader<'r> {
    pointer: String,
    report: &'r mut Report,
    unusable: bool,
}

impl Reader<'_> {
    fn table(&mut self, table: &DeTable<'_>, depth: usize) -> Kind {
        let base = self.pointer.len();
        let mut members = Vec::new();
        for (key, value) in table {
            push(&mut self.pointer, key.get_ref());
            let value = self.value(value.span(), value.get_ref(), depth);
            self.pointer.truncate(base);
            members.push(Member {
                key: key.get_ref().to_string(),
                key_span: key.span(),
                value,
            });
        }
        // A table of the parser is sorted by key; the file's own order is that of the places.
        members.sort_by_key(|member| member.key_span.start);
        Kind::Object(members)
    }

    fn value(&mut self, span: std::ops::Range<usize>, value: &DeValue<'_>, depth: usize) -> Node {
        if depth >= DEPTH_MAX {
            if !self.unusable {
                self.report.error(
                    Code::TooDeep,
                    &self.pointer,
                    span.clone(),
                    &format!("nested deeper than {DEPTH_MAX} levels"),
                );
            }
            self.unusable = true;
            return Node::new(span, Kind::Null);
        }
        let kind = match value {
            DeValue::String(text) => Kind::Text(text.to_string()),
            DeValue::Boolean(truth) => Kind::Bool(*truth),
            DeValue::Integer(number) => self.number(
                &span,
                &number.to_string(),
                i64::from_str_radix(number.as_str(), number.radix())
                    .ok()
                    .map(Into::into),
            ),
            DeValue::Float(number) => {
                let value = number
                    .as_str()
                    .parse::<f64>()
                    .ok()
                    .and_then(serde_json::Number::from_f64);
                self.number(&span, number.as_str(), value)
            }
            DeValue::Datetime(time) => Kind::Text(time.to_string()),
            DeValue::Array(items) => {
                let base = self.pointer.len();
                let mut nodes = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    push(&mut self.pointer, &index.to_string());
                    nodes.push(self.value(item.span(), item.get_ref(), depth + 1));
                    self.pointer.truncate(base);
                }
                Kind::List(nodes)
            }
            DeValue::Table(table) => self.table(table, depth + 1),
        };
        Node::new(span, kind)
    }

    fn number(
        &mut self,
        span: &std::ops::Range<usize>,
        text: &str,
        number: Option<serde_json::Number>,
    ) -> Kind {
        number.map(Kind::Number).unwrap_or_else(|| {
            self.report.error(
                Code::BadNumber,
                &self.pointer,
                span.clone(),
                &format!("{text} is not a number that JSON has"),
            );
            self.unusable = true;
            Kind::Null
        })
    }
}

//! Rules of one setting.

use crate::{
    choices::SettingType,
    node::{Kind, Node},
    tables,
    validate::Walk,
    violation::Code,
};

/// One setting: forms we cannot show are warned about, contradictions in those we can are errors.
pub(crate) fn setting(node: &Node, walk: &mut Walk<'_>) {
    if !node.is_object() || node.get("type").is_none() {
        return walk.say(
            Code::OddSetting,
            node.span.clone(),
            "has no \"type\" and cannot be shown in a form",
            None,
        );
    }
    walk.record(node, &tables::SETTING);
    let number = |key: &str| node.get(key).and_then(|value| value.to_value().as_f64());
    for (low, high) in [("min", "max"), ("minLength", "maxLength")] {
        if let (Some(low_value), Some(high_value)) = (number(low), number(high))
            && low_value > high_value
        {
            walk.say(
                Code::BadSetting,
                node.span.clone(),
                &format!("has \"{low}\" above \"{high}\""),
                None,
            );
        }
    }
    let kind = node.text_at("type").unwrap_or_default();
    if kind == "enum" && values(node).is_empty() {
        walk.say(
            Code::BadSetting,
            node.span.clone(),
            "is an enum without \"values\"",
            None,
        );
    }
    if let Some(value) = node.get("default") {
        default(node, value, walk);
    }
}

/// The value that a setting has at first.
fn default(setting: &Node, value: &Node, walk: &mut Walk<'_>) {
    let kind = setting.text_at("type").unwrap_or_default();
    if !fits(setting, value, kind) {
        walk.at("default", |walk| {
            walk.say(
                Code::BadSetting,
                value.span.clone(),
                &format!("does not fit a setting of type {kind:?}"),
                None,
            )
        });
    }
    let secret = setting
        .get("secret")
        .is_some_and(|secret| secret.kind == Kind::Bool(true));
    if secret && !matches!(&value.kind, Kind::Null) && value.as_text() != Some("") {
        walk.at("default", |walk| {
            walk.say(
                Code::SecretDefault,
                value.span.clone(),
                "is readable by everyone, though the setting is secret",
                None,
            )
        });
    }
}

fn fits(setting: &Node, value: &Node, kind: &str) -> bool {
    match (&value.kind, kind) {
        (Kind::Null, _) => true,
        (Kind::Text(text), "enum") => values(setting)
            .iter()
            .any(|value| value.as_text() == Some(text)),
        (Kind::Number(number), "integer") => {
            number.as_f64().is_some_and(|number| number.fract() == 0.0)
                && within(setting, number.as_f64())
        }
        (Kind::Number(number), "number") => within(setting, number.as_f64()),
        (Kind::Text(_), "string")
        | (Kind::Bool(_), "boolean")
        | (Kind::List(_), "array")
        | (Kind::Object(_), "object") => true,
        // The type is unknown, which the table has reported.
        _ => !SettingType::NAMES.contains(&kind),
    }
}

/// The values of an enum.
fn values(setting: &Node) -> &[Node] {
    setting
        .get("values")
        .and_then(Node::as_list)
        .unwrap_or_default()
}

fn within(setting: &Node, value: Option<f64>) -> bool {
    let bound = |key: &str| setting.get(key).and_then(|bound| bound.to_value().as_f64());
    value.is_some_and(|value| {
        bound("min").is_none_or(|min| value >= min) && bound("max").is_none_or(|max| value <= max)
    })
}

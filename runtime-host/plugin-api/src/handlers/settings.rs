//! A plugin's settings: shown without secrets, changed one by one.
//!
//! A value that the manifest's setting does not admit is not stored, and a secret is never part of an answer.

use crate::{
    PluginApi,
    answer::{Body, Refusal, ok},
    call::Call,
};
use http::Response;
use limits::plugin_api::BODY_BYTES_MAX;
use plugin_manifest::Manifest;
use serde_json::{Map, Value, json};

/// `GET /api/plugins/{pluginId}/settings`.
pub(crate) async fn show(api: &PluginApi, call: Call) -> Result<Response<Body>, Refusal> {
    let manifest = api.plugins.get(call.id())?.manifest;
    let set = api.plugins.record(call.id()).await?.settings;
    Ok(ok(&shown(&manifest, &set)))
}

/// `PUT /api/plugins/{pluginId}/settings`.
pub(crate) async fn change(api: &PluginApi, call: Call) -> Result<Response<Body>, Refusal> {
    let manifest = api.plugins.get(call.id())?.manifest;
    let changes: Map<String, Value> = call.json(BODY_BYTES_MAX)?;
    call.changes(|act| {
        // The names alone: values may be secret.
        let names: Vec<String> = changes.keys().map(|key| shorten(key)).collect();
        act.capability = "settings".to_owned();
        act.target = Some(names.join(", "));
        act.action = "change".to_owned();
    });
    for (key, value) in changes.iter().filter(|(_, value)| !value.is_null()) {
        let setting = manifest.settings.get(key);
        let setting = setting.ok_or_else(|| {
            Refusal::bad(format!(
                "{:?} is no setting of {}",
                shorten(key),
                manifest.id
            ))
        })?;
        fits(setting, value).map_err(|rule| Refusal::bad(format!("setting '{key}' {rule}")))?;
    }
    api.plugins.record(call.id()).await?;
    let apply = move |record: &mut plugin_store::PluginRecord| {
        for (key, value) in &changes {
            match value {
                Value::Null => drop(record.settings.remove(key)),
                value => drop(record.settings.insert(key.clone(), value.clone())),
            }
        }
    };
    let record = api.store().change_record(call.id(), apply).await?;
    api.plugins.refresh_settings(call.id()).await?;
    Ok(ok(&shown(&manifest, &record.settings)))
}

fn shorten(key: &str) -> String {
    key.chars().take(64).collect()
}

/// Each setting of the manifest, its value, and whether it was set.
fn shown(manifest: &Manifest, set: &Map<String, Value>) -> Value {
    let settings: Map<String, Value> = manifest
        .settings
        .iter()
        .map(|(key, setting)| {
            let is_secret = setting["secret"] == true;
            let value = set.get(key).or_else(|| setting.get("default")).filter(|_| !is_secret).cloned().unwrap_or_default();
            (key.clone(), json!({"value": value, "set": set.contains_key(key), "secret": is_secret, "setting": setting}))
        })
        .collect();
    json!({"plugin": manifest.id.as_str(), "settings": settings})
}

/// Whether a setting admits a value; the rule that it breaks, to be read after its name. A setting in a form that is
/// not known admits all.
fn fits(setting: &Value, value: &Value) -> Result<(), String> {
    let bound = |name: &str| setting.get(name).and_then(Value::as_f64);
    let within = |measure: f64, low: &str, high: &str, what: &str| match (bound(low), bound(high)) {
        (Some(low), _) if measure < low => Err(format!("must have {what} of at least {low}")),
        (_, Some(high)) if measure > high => Err(format!("must have {what} of at most {high}")),
        _ => Ok(()),
    };
    match (setting["type"].as_str().unwrap_or_default(), value) {
        ("string", Value::String(text)) => within(
            text.chars().count() as f64,
            "minLength",
            "maxLength",
            "a length",
        ),
        ("integer", Value::Number(number))
            if number.as_f64().is_some_and(|number| number.fract() != 0.0) =>
        {
            Err("must be a whole number".to_owned())
        }
        ("integer" | "number", Value::Number(number)) => {
            within(number.as_f64().unwrap_or(f64::NAN), "min", "max", "a value")
        }
        ("enum", Value::String(_))
            if setting["values"]
                .as_array()
                .is_some_and(|values| values.contains(value)) =>
        {
            Ok(())
        }
        ("enum", _) => Err("must be one of its values".to_owned()),
        ("array", Value::Array(items)) => {
            within(items.len() as f64, "minItems", "maxItems", "a length")?;
            setting.get("items").map_or(Ok(()), |item| {
                items.iter().try_for_each(|value| fits(item, value))
            })
        }
        ("object", Value::Object(members)) => {
            let known = setting["properties"].as_object();
            members.iter().try_for_each(|(name, value)| match known {
                None => Ok(()),
                Some(known) => known.get(name).map_or_else(
                    || Err(format!("knows no '{}'", shorten(name))),
                    |inner| fits(inner, value),
                ),
            })
        }
        ("boolean", Value::Bool(_)) => Ok(()),
        (kind @ ("string" | "integer" | "number" | "boolean" | "array" | "object"), _) => {
            Err(format!("must be of type {kind}"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::fits;
    use serde_json::json;

    #[test]
    fn values_keep_to_their_settings() {
        let cases = [
            (
                json!({"type": "string", "maxLength": 3}),
                json!("äöü"),
                true,
            ),
            (
                json!({"type": "string", "maxLength": 3}),
                json!("abcd"),
                false,
            ),
            (json!({"type": "string", "minLength": 1}), json!(""), false),
            (json!({"type": "string"}), json!(1), false),
            (json!({"type": "integer"}), json!(1.5), false),
            (
                json!({"type": "integer", "min": 1, "max": 3}),
                json!(3),
                true,
            ),
            (json!({"type": "number", "min": 1}), json!(0.5), false),
            (json!({"type": "boolean"}), json!("true"), false),
            (
                json!({"type": "enum", "values": ["a", "b"]}),
                json!("b"),
                true,
            ),
            (
                json!({"type": "enum", "values": ["a", "b"]}),
                json!("c"),
                false,
            ),
            (json!({"type": "enum"}), json!("c"), false),
            (
                json!({"type": "array", "items": {"type": "string"}, "maxItems": 2}),
                json!(["a", "b"]),
                true,
            ),
            (
                json!({"type": "array", "items": {"type": "string"}}),
                json!(["a", 1]),
                false,
            ),
            (
                json!({"type": "array", "maxItems": 1}),
                json!([1, 2]),
                false,
            ),
            (
                json!({"type": "object", "properties": {"a": {"type": "integer"}}}),
                json!({"a": 1}),
                true,
            ),
            (
                json!({"type": "object", "properties": {"a": {"type": "integer"}}}),
                json!({"b": 1}),
                false,
            ),
            (json!({"type": "colour"}), json!({"r": 1}), true),
        ];
        for (setting, value, fit) in cases {
            assert_eq!(fits(&setting, &value).is_ok(), fit, "{setting} {value}");
        }
    }
}

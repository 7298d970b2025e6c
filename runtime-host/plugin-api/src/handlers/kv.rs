//! A plugin's values over REST, with the actions of earlier plugin hosts, and `list` and `cas`.

use crate::{
    PluginApi,
    answer::{Body, Refusal, ok},
    call::Call,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::Response;
use limits::{plugin_api::KV_BODY_BYTES_MAX, plugin_store::KEYS_PAGE_MAX};
use plugin_store::Change;
use serde_json::{Map, Value, json};

/// The body of a request. Each action reads the members that it needs.
struct KvRequest(Map<String, Value>);

impl KvRequest {
    fn text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Refusal::bad(format!("'{name}' must be a string"))),
        }
    }

    fn key(&self) -> Result<&str, Refusal> {
        self.text("key")?
            .ok_or_else(|| Refusal::bad("Missing 'key' field"))
    }

    /// A value: text, or with `"encoding":"base64"` any bytes.
    fn value(&self, name: &str) -> Result<Option<Bytes>, Refusal> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        match self.text("encoding")? {
            None => Ok(Some(Bytes::copy_from_slice(text.as_bytes()))),
            Some("base64") => {
                let bytes = STANDARD
                    .decode(text)
                    .map_err(|_| Refusal::bad(format!("'{name}' must be base64")))?;
                Ok(Some(bytes.into()))
            }
            Some(_) => Err(Refusal::bad("'encoding' must be \"base64\", or absent")),
        }
    }

    /// A value as JSON. One that is not UTF-8 is sent as base64, with `"encoding": "base64"`.
    fn shown(&self, value: Option<&Bytes>) -> Value {
        let base64 = self.0.get("encoding").is_some();
        match value.map(|value| (value, std::str::from_utf8(value))) {
            None => json!({"value": null}),
            Some((_, Ok(text))) if !base64 => json!({"value": text}),
            Some((bytes, _)) => json!({"value": STANDARD.encode(bytes), "encoding": "base64"}),
        }
    }
}

/// `POST /api/plugins/{pluginId}/kv`.
pub(crate) async fn act(api: &PluginApi, call: Call) -> Result<Response<Body>, Refusal> {
    let id = call.id().to_owned();
    api.plugins.get(&id)?;
    let request = KvRequest(call.json(KV_BODY_BYTES_MAX)?);
    let action = request
        .text("action")?
        .ok_or_else(|| Refusal::bad("Missing 'action' field"))?;
    let store = api.store();
    Ok(ok(&match action.to_ascii_lowercase().as_str() {
        "get" => request.shown(store.kv_get(&id, request.key()?).await?.as_ref()),
        "set" => {
            let key = request.key()?;
            let value = request
                .value("value")?
                .ok_or_else(|| Refusal::bad("Missing 'value' field for set operation"))?;
            store
                .kv_apply(&id, vec![Change::Set(key.to_owned(), value.clone())])
                .await?;
            api.plugins.data_changed(&id, key, "rest", false);
            request.shown(Some(&value))
        }
        "delete" => {
            let key = request.key()?;
            if store.kv_delete(&id, key).await? {
                api.plugins.data_changed(&id, key, "rest", true);
            }
            json!({"value": null})
        }
        "list" => list(api, &id, &request).await?,
        "cas" => swap(api, &id, &request).await?,
        _ => return Err(Refusal::bad(format!("Invalid action: {action}"))),
    }))
}

async fn list(api: &PluginApi, id: &str, request: &KvRequest) -> Result<Value, Refusal> {
    let limit = match request.0.get("limit") {
        None | Some(Value::Null) => KEYS_PAGE_MAX,
        Some(limit) => {
            let limit = limit
                .as_u64()
                .and_then(|limit| usize::try_from(limit).ok())
                .filter(|limit| (1..=KEYS_PAGE_MAX).contains(limit));
            limit.ok_or_else(|| {
                Refusal::bad(format!(
                    "'limit' must be a whole number from 1 to {KEYS_PAGE_MAX}"
                ))
            })?
        }
    };
    let prefix = request.text("prefix")?.unwrap_or_default();
    let page = api
        .store()
        .kv_keys(id, prefix, request.text("cursor")?, limit)
        .await?;
    Ok(json!({"keys": page.keys, "next": page.next}))
}

async fn swap(api: &PluginApi, id: &str, request: &KvRequest) -> Result<Value, Refusal> {
    let key = request.key()?;
    if !request.0.contains_key("expected") {
        return Err(Refusal::bad(
            "Missing 'expected' field for cas operation; null means absent",
        ));
    }
    let (expected, value) = (request.value("expected")?, request.value("value")?);
    let removed = value.is_none();
    let swapped = api
        .store()
        .kv_compare_and_set(id, key, expected, value)
        .await?;
    if swapped {
        api.plugins.data_changed(id, key, "rest", removed);
    }
    let now = api.store().kv_get(id, key).await?;
    let mut shown = request.shown(now.as_ref());
    shown["swapped"] = swapped.into();
    Ok(shown)
}

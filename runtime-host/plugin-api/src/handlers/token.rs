//! A plugin's own token, for programs outside of the host that work for the plugin. Only its digest is stored.

use crate::{
    PluginApi,
    answer::{Body, Refusal, ok},
    auth::PLUGIN_TOKEN_PREFIX,
    call::Call,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{Response, StatusCode};
use limits::plugin_api::TOKEN_BYTES;
use plugin_store::token_digest;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::json;

/// `POST /api/plugins/{pluginId}/token`.
pub(crate) async fn make(api: &PluginApi, call: Call) -> Result<Response<Body>, Refusal> {
    let mut bytes = [0; TOKEN_BYTES];
    let failed = |_| {
        Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "NO_RANDOMNESS",
            "the system gives no random bytes",
        )
    };
    SystemRandom::new().fill(&mut bytes).map_err(failed)?;
    let token = format!("{PLUGIN_TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
    keep(api, call.id(), Some(token_digest(&token))).await?;
    Ok(ok(&json!({"token": token})))
}

/// `DELETE /api/plugins/{pluginId}/token`.
pub(crate) async fn end(api: &PluginApi, call: Call) -> Result<Response<Body>, Refusal> {
    let ended = keep(api, call.id(), None).await?;
    Ok(ok(&json!({"ok": true, "removed": usize::from(ended)})))
}

/// Keeps a token's digest; whether there was one before.
async fn keep(api: &PluginApi, id: &str, digest: Option<String>) -> Result<bool, Refusal> {
    api.plugins.get(id)?;
    let before = api.plugins.record(id).await?.token_digest.is_some();
    api.store()
        .change_record(id, move |record| record.token_digest.clone_from(&digest))
        .await?;
    Ok(before)
}

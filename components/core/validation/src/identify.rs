//! `identify`: checks and normalises a client's profile. The gateway verifies the claimed identity.

use crate::{
    Stop, Turn,
    fields::{Fields, invalid, longer},
};
use envelope::verdict::{Decision, Effect, Identify};
use identifiers::{ClientId, PluginId};
use limits::{
    envelope::{
        CONNECTION_SCOPE_CHARS_MAX, DECLARED_PLUGINS_MAX, DESCRIPTION_CHARS_MAX,
        DISPLAY_NAME_CHARS_MAX, FEATURES_MAX, KEY_BYTES_MAX, WORD_CHARS_MAX,
    },
    identity::TOKEN_BYTES_MAX,
};
use serde::Deserialize;
use std::borrow::Cow;

pub(crate) fn decide(turn: &Turn<'_, '_>) -> Result<Decision, Stop> {
    let fields = turn.fields();
    let identify = Identify {
        user_id: user_id(&fields)?,
        display_name: line(&fields, "displayName", DISPLAY_NAME_CHARS_MAX)?.unwrap_or_default(),
        connection_scope: line(&fields, "connectionScope", CONNECTION_SCOPE_CHARS_MAX)?,
        description: description(&fields)?,
        profile_updated_at: fields.time("profileUpdatedAt")?.map(str::to_owned),
        token: fields.bytes_max("token", TOKEN_BYTES_MAX)?,
        key: fields.bytes_max("key", KEY_BYTES_MAX)?,
        proof: fields.bytes_max("proof", KEY_BYTES_MAX)?,
        lock: fields.boolean("lock")?.unwrap_or_default(),
        plugins: plugins(&fields)?,
        features: features(&fields)?,
    };
    fields.text_max("protocol", WORD_CHARS_MAX)?;
    Ok(Decision {
        patches: Vec::new(),
        effects: vec![Effect::Identify(identify)],
    })
}

/// Missing, `null` and empty all mean that the gateway makes one.
fn user_id(fields: &Fields<'_, '_>) -> Result<Option<String>, Stop> {
    let Some(text) = fields.text("oderId")? else {
        return Ok(None);
    };
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    ClientId::new(text).map_err(|error| invalid(error.to_string()))?;
    Ok(Some(text.to_owned()))
}

/// A one-line text: trimmed, without control characters; `None` when it is empty then.
fn line(fields: &Fields<'_, '_>, key: &str, chars_max: usize) -> Result<Option<String>, Stop> {
    let Some(text) = fields.text(key)? else {
        return Ok(None);
    };
    let text: Cow<'_, str> = match text.chars().any(char::is_control) {
        true => Cow::Owned(
            text.chars()
                .filter(|character| !character.is_control())
                .collect(),
        ),
        false => text,
    };
    bounded(key, text.trim(), chars_max)
}

/// The description may have several lines.
fn description(fields: &Fields<'_, '_>) -> Result<Option<String>, Stop> {
    let Some(text) = fields.text("description")? else {
        return Ok(None);
    };
    bounded("description", text.trim(), DESCRIPTION_CHARS_MAX)
}

fn bounded(key: &str, text: &str, chars_max: usize) -> Result<Option<String>, Stop> {
    if longer(text, chars_max) {
        return Err(invalid(format!(
            "{key} has more than {chars_max} characters"
        )));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// A declared plugin: an object, or its id.
#[derive(Deserialize)]
#[serde(untagged)]
enum Declared {
    Id(String),
    Plugin { id: String, version: Option<String> },
}

fn plugins(fields: &Fields<'_, '_>) -> Result<Option<Vec<(String, String)>>, Stop> {
    let Some(raw) = fields.raw("plugins") else {
        return Ok(None);
    };
    let declared: Vec<Declared> = serde_json::from_str(raw).map_err(|_| {
        invalid("plugins must be a list of objects with the text members id and version".to_owned())
    })?;
    if declared.len() > DECLARED_PLUGINS_MAX {
        return Err(invalid(format!(
            "plugins has more than {DECLARED_PLUGINS_MAX} entries"
        )));
    }
    let mut plugins = Vec::with_capacity(declared.len());
    for plugin in declared {
        let (id, version) = match plugin {
            Declared::Id(id) => (id, String::new()),
            Declared::Plugin { id, version } => (id, version.unwrap_or_default()),
        };
        PluginId::new(id.as_str()).map_err(|error| invalid(format!("plugins: {error}")))?;
        if longer(&version, WORD_CHARS_MAX) {
            return Err(invalid(format!(
                "plugins: version has more than {WORD_CHARS_MAX} characters"
            )));
        }
        plugins.push((id, version));
    }
    Ok(Some(plugins))
}

fn features(fields: &Fields<'_, '_>) -> Result<Vec<String>, Stop> {
    let Some(raw) = fields.raw("features") else {
        return Ok(Vec::new());
    };
    let features: Vec<String> = serde_json::from_str(raw)
        .map_err(|_| invalid("features must be a list of texts".to_owned()))?;
    if features.len() > FEATURES_MAX {
        return Err(invalid(format!(
            "features has more than {FEATURES_MAX} entries"
        )));
    }
    if features
        .iter()
        .any(|feature| longer(feature, WORD_CHARS_MAX))
    {
        return Err(invalid(format!(
            "features: an entry has more than {WORD_CHARS_MAX} characters"
        )));
    }
    Ok(features)
}

//! The check before anything runs: imports and exports of a component against its manifest.
//!
//! Every import needs a capability that the manifest declares, or is one that every plugin holds.

use crate::{
    instances::engine::PluginEngine,
    lifecycle::load::{PACKAGE, VERSION},
};
use anyhow::{Result, bail};
use capability::CapabilityId::{
    self, ChannelsRead, EventsP2pPublish, EventsP2pSubscribe, EventsServerPublish,
    EventsServerSubscribe, HttpFetch, MessagesModerate, MessagesSend, SecretsRead, SecretsWrite,
    ServerRead, StorageKv, StorageLocal, UsersRead,
};
use plugin_manifest::Manifest;
use wasmtime::component::Component;

/// Interfaces and the capabilities of which one at least has to be declared; none: held by every plugin.
pub(crate) const IMPORTS: &[(&str, &[CapabilityId])] = &[
    ("types", &[]),
    ("log", &[]),
    ("settings", &[]),
    ("capabilities", &[]),
    ("clock", &[]),
    ("random", &[]),
    ("http-body", &[]),
    ("kv", &[StorageKv, StorageLocal]),
    ("secrets", &[SecretsRead, SecretsWrite]),
    ("http-client", &[HttpFetch]),
    ("events", &[EventsServerPublish]),
    ("bus", &[EventsP2pPublish, EventsP2pSubscribe]),
    ("messages", &[MessagesSend]),
    ("channels", &[ChannelsRead]),
    ("users", &[UsersRead]),
    ("server", &[ServerRead]),
];

/// Packages of WASI 0.2 that the standard libraries of languages import; there is nothing behind them but a clock,
/// randomness and the log.
const WASI: &[&str] = &["cli", "clocks", "io", "random"];

/// Checks a component.
///
/// # Errors
/// All undeclared imports with what to declare, then the first foreign import, then the first missing export.
pub(crate) fn check(
    engine: &PluginEngine,
    component: &Component,
    manifest: &Manifest,
) -> Result<()> {
    let shape = component.component_type();
    let mut undeclared = Vec::new();
    for (name, _) in shape.imports(engine.wasmtime()) {
        let Some(interface) = ours(name)? else {
            continue;
        };
        let Some((_, any_of)) = IMPORTS.iter().find(|(known, _)| *known == interface) else {
            bail!("imports {name}, which {PACKAGE}*@{VERSION} does not have");
        };
        if !any_of.is_empty() && !any_of.iter().any(|id| manifest.declares(*id)) {
            let wanted: Vec<&str> = any_of.iter().map(|id| id.as_str()).collect();
            undeclared.push(format!(
                "{interface} needs {} in \"capabilities\"",
                wanted.join(" or ")
            ));
        }
    }
    if !undeclared.is_empty() {
        bail!(
            "imports what its manifest does not declare: {}",
            undeclared.join("; ")
        );
    }
    for interface in wanted_exports(manifest) {
        if component
            .get_export_index(None, format!("{PACKAGE}{interface}@{VERSION}"))
            .is_none()
        {
            bail!("{}", missing(interface));
        }
    }
    Ok(())
}

/// The interface of our package that an import names; none for WASI that every component may import.
fn ours(name: &str) -> Result<Option<&str>> {
    if let Some(rest) = name.strip_prefix(PACKAGE) {
        let (interface, version) = rest.split_once('@').unwrap_or((rest, ""));
        if version != VERSION {
            bail!(
                "imports {name}; this host offers {PACKAGE}{interface}@{VERSION}: build the plugin against that version"
            );
        }
        return Ok(Some(interface));
    }
    let wasi = name
        .strip_prefix("wasi:")
        .and_then(|rest| rest.split_once('/'));
    match wasi {
        Some((package, interface)) if WASI.contains(&package) && interface.contains("@0.2.") => {
            Ok(None)
        }
        Some(("filesystem" | "sockets" | "http", _)) => {
            bail!(
                "imports {name}: a plugin has no files and no sockets; use kv and http-client of {PACKAGE}*@{VERSION}"
            )
        }
        _ => bail!(
            "imports {name}, which this host does not offer; plugins import {PACKAGE}*@{VERSION} and WASI 0.2 without files and sockets"
        ),
    }
}

/// Exports that the manifest speaks of.
fn wanted_exports(manifest: &Manifest) -> Vec<&'static str> {
    let wanted = [
        ("meta", true),
        ("lifecycle", true),
        ("http-handler", manifest.route.is_some()),
        (
            "event-handler",
            manifest.declares(EventsServerSubscribe) || manifest.declares(EventsP2pSubscribe),
        ),
        ("chat-handler", manifest.declares(MessagesModerate)),
        ("hook-handler", !manifest.hooks.is_empty()),
        ("tools", !manifest.tools.is_empty()),
    ];
    wanted
        .into_iter()
        .filter_map(|(name, wanted)| wanted.then_some(name))
        .collect()
}

/// What to say about an export that is not there.
pub(crate) fn missing(interface: &str) -> String {
    let why = match interface {
        "http-handler" => " (the manifest has a \"route\")",
        "event-handler" => {
            " (the manifest declares events.server.subscribe or events.p2p.subscribe)"
        }
        "chat-handler" => " (the manifest declares messages.moderate)",
        "hook-handler" => " (the manifest has \"hooks\")",
        "tools" => " (the manifest has \"tools\")",
        _ => "",
    };
    format!("missing required export {PACKAGE}{interface}@{VERSION}{why}")
}

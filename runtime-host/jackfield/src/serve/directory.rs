//! The directory: the application in this process with its variables, or one elsewhere.

use super::setup::Setup;
use crate::{
    config::{Config, Edge},
    directory_transport::DirectoryTransport,
    failure::Coded,
    keys,
};
use anyhow::Result;
use bytes::Bytes;
use edge_host::{EdgeHost, Options};
use gateway::directory::Transport as _;
use http::{Request, StatusCode, header};
use limits::directory::{POLL_INTERVAL_ANNOUNCED_MS, POLL_INTERVAL_MS};
use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::sync::Notify;

/// The table of the directory to which each change adds a row.
const CHANGES_TABLE: &str = "change";

/// Opens the directory and checks that it can use its database.
///
/// # Errors
/// The application does not load, or its database cannot be used.
pub(super) async fn open(setup: &Setup) -> Result<DirectoryTransport> {
    let edge = &setup.config.edge;
    if !edge.url.is_empty() {
        return DirectoryTransport::remote(&edge.url);
    }
    tracing::info!(
        app = setup.application.origin,
        "loading the application; components that are new to this machine are compiled, which takes seconds"
    );
    let host = EdgeHost::load(Options {
        app: setup.application.application.clone(),
        data_dir: setup.data.clone(),
        cache: setup.cache.clone(),
        variables: variables(setup)?,
        build_missing: false,
        requests_per_instance_max: edge.requests_per_instance_max,
    })
    .await?;
    let client = DirectoryTransport::Local(host);
    probe(&client, &setup.credential).await?;
    Ok(client)
}

/// Wakes the gateway after each change that is committed to the directory's SQLite file, without a request. Changes of a directory
/// elsewhere or in PostgreSQL are announced by `POST /internal/wake`.
pub(super) fn wake_on_change(directory: &DirectoryTransport, wake: &Arc<Notify>) {
    if let DirectoryTransport::Local(host) = directory {
        let wake = wake.clone();
        host.watch(CHANGES_TABLE, move || wake.notify_one());
    }
}

/// How often the feed of changes is polled: seldom where [`wake_on_change`] sees each commit.
pub(super) fn poll_interval(directory: &DirectoryTransport, edge: &Edge) -> Duration {
    let announced = matches!(directory, DirectoryTransport::Local(_)) && !uses_postgres(edge);
    Duration::from_millis(match announced {
        true => POLL_INTERVAL_ANNOUNCED_MS,
        false => POLL_INTERVAL_MS,
    })
}

/// Reads one change: an application in this process that cannot do that is a reason not to start.
async fn probe(directory: &DirectoryTransport, credential: &str) -> Result<()> {
    let request = Request::get("/api/internal/changes?after=0&limit=1")
        .header(header::HOST, "edge.internal")
        .header(header::AUTHORIZATION, format!("Bearer {credential}"))
        .body(Bytes::new())?;
    let response = directory.call(request).await?;
    if response.status() == StatusCode::OK {
        return Ok(());
    }
    let answer: serde_json::Value = serde_json::from_slice(response.body()).unwrap_or_default();
    let message = format!(
        "the directory cannot be used: {}",
        answer["error"].as_str().unwrap_or("it gives no reason")
    );
    let code = match answer["code"].as_str() {
        Some("DATABASE_NEWER") => "DATABASE_NEWER",
        Some("DATABASE_CORRUPT") => "DATABASE_CORRUPT",
        Some("DATABASE_FULL" | "DISK_FULL") => "DISK_FULL",
        _ => "DIRECTORY_UNUSABLE",
    };
    Err(Coded { code, message }.into())
}

/// The variables of an application in this process.
fn variables(setup: &Setup) -> Result<BTreeMap<String, String>> {
    let Config {
        identity,
        rest,
        edge,
        ..
    } = &setup.config;
    let own = format!("http://{}", reachable(setup.address));
    let mut gateways = edge.gateway_urls.clone();
    if uses_postgres(edge) {
        gateways.insert(0, own.clone());
    }
    let mut variables: BTreeMap<String, String> = [
        ("identity_mode", identity.mode.as_str().to_owned()),
        ("public_key", keys::public_keys(&setup.data)?),
        ("hs256_secret", identity.hs256_secret.clone()),
        ("jwks_url", identity.jwks_url.clone()),
        ("jwks_host", origin_of(&identity.jwks_url)),
        ("token_audience", identity.token_audience.clone()),
        ("token_issuer", identity.token_issuer.clone()),
        ("jwks_roles", identity.jwks_roles.to_string()),
        ("service_credential", setup.credential.clone()),
        ("gateway_urls", gateways.join(",")),
        ("gateway_host", own),
        ("cors_origins", rest.cors_origins.join(",")),
        ("create_servers", rest.create_servers.as_str().to_owned()),
        ("servers_per_owner", rest.servers_per_owner.to_string()),
        ("changes_per_minute", rest.changes_per_minute.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    variables.extend(edge.variables.clone());
    Ok(variables)
}

/// Whether the directory is kept in PostgreSQL, whose commits [`wake_on_change`] does not see: by configuration, or by the environment
/// that the application reads.
fn uses_postgres(edge: &Edge) -> bool {
    let store = edge.variables.get("store").cloned();
    store
        .or_else(|| std::env::var("SPIN_VARIABLE_STORE").ok())
        .is_some_and(|store| store == "postgres")
}

/// The address at which this process reaches itself.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(address) if address.ip().is_unspecified() => {
            (Ipv4Addr::LOCALHOST, address.port()).into()
        }
        SocketAddr::V6(address) if address.ip().is_unspecified() => {
            (Ipv6Addr::LOCALHOST, address.port()).into()
        }
        address => address,
    }
}

/// Scheme, host and port of a URL; empty if it is none.
fn origin_of(url: &str) -> String {
    url.split_once("://")
        .map(|(scheme, rest)| {
            let host = rest.split('/').next().unwrap_or_default();
            format!("{scheme}://{host}")
        })
        .unwrap_or_default()
}

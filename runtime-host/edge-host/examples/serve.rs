//! Serves a `spin.toml` on a loopback port, for development: `cargo run -p edge-host --example serve -- --manifest
//! spin.toml`. It has no limits per address and no orderly end; the product's server is the binary `jackfield`.

use anyhow::{Context, Result};
use clap::Parser;
use edge_host::{Application, Body, ClientAddress, EdgeHost, Options};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Limited};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use limits::edge_host::REQUEST_BYTES_MAX;
use sandbox::CodeCache;
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};
use tokio::net::{TcpListener, TcpStream};

/// Serves the components of a spin.toml.
#[derive(Parser)]
struct Arguments {
    /// The manifest.
    #[arg(long, default_value = "spin.toml")]
    manifest: PathBuf,
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// Data directory; one process at a time.
    #[arg(long, default_value = "data")]
    data: PathBuf,
    /// Where compiled code is kept; `cache` in the data directory when missing.
    #[arg(long)]
    cache: Option<PathBuf>,
    /// Application variable, as name=value; may be repeated.
    #[arg(long = "var", value_parser = variable)]
    variables: Vec<(String, String)>,
    /// Build components whose file is missing.
    #[arg(long)]
    build: bool,
}

fn variable(text: &str) -> Result<(String, String)> {
    let (name, value) = text.split_once('=').context("a variable is name=value")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[tokio::main]
async fn main() -> Result<()> {
    let filter =
        tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().with_env_filter(filter).init();
    let arguments = Arguments::parse();
    let lock = edge_host::lock(&arguments.data)?;
    let host = EdgeHost::load(Options {
        app: Application::read(&arguments.manifest)?,
        cache: CodeCache::open(
            &arguments
                .cache
                .unwrap_or_else(|| arguments.data.join("cache")),
        )?,
        data_dir: arguments.data,
        variables: arguments.variables.into_iter().collect::<BTreeMap<_, _>>(),
        build_missing: arguments.build,
        requests_per_instance_max: 0,
    })
    .await?;
    let listener = TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("cannot listen on {}", arguments.listen))?;
    println!("serving http://{}", listener.local_addr()?);
    host.routes().for_each(|route| println!("  {route}"));
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (socket, client) = accepted?;
                tokio::spawn(serve(host.clone(), socket, client));
            }
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    drop(lock);
    Ok(())
}

async fn serve(host: EdgeHost, socket: TcpStream, client: SocketAddr) {
    let _ = socket.set_nodelay(true);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ClientAddress(client));
        let host = host.clone();
        async move {
            let (head, body) = request.into_parts();
            let collected = Limited::new(body, REQUEST_BYTES_MAX).collect().await;
            let body = collected.map_err(anyhow::Error::from_boxed)?;
            let request = Request::from_parts(head, body.to_bytes());
            Ok::<Response<Body>, anyhow::Error>(host.handle(request).await)
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(socket), service);
    if let Err(error) = connection.await {
        tracing::debug!("connection of {client} ended: {error}");
    }
}

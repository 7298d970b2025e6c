//! The log on standard error, and spans sent to an OTLP collector over HTTP with JSON bodies. Spans wait in a bounded queue; if the collector
//! does not answer and the queue is full, they are dropped.

use crate::config::{Config, LogFormat};
use anyhow::{Context, Result};
use bytes::Bytes;
use edge_host::network::outbound;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use limits::rest::COLLECTOR_ANSWER_BYTES_MAX;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use std::{
    env,
    io::{IsTerminal, Write as _},
};
use tokio::runtime::Handle;
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

/// Sends the spans that still wait when it is dropped.
pub(crate) struct Telemetry(Option<SdkTracerProvider>);

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(provider) = self.0.take()
            && let Err(error) = provider.shutdown()
        {
            let _ = writeln!(
                std::io::stderr(),
                "the last spans could not be sent: {error}"
            );
        }
    }
}

/// Starts the log and, if the configuration names a collector, the export of spans on `runtime`.
///
/// # Errors
/// The filter or the collector's URL is not valid.
pub(crate) fn start(config: &Config, runtime: &Handle) -> Result<Telemetry> {
    let filter = env::var("RUST_LOG").unwrap_or_else(|_| config.log.filter.clone());
    let filter = EnvFilter::try_new(&filter).with_context(|| format!("log.filter {filter:?}"))?;
    // Reporting that a line cannot be written (full disk) would write to the same place and fail again.
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    let lines = match config.log.format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let provider = match config.log.otlp_endpoint.as_str() {
        "" => None,
        endpoint => Some(
            provider(endpoint, runtime)
                .with_context(|| format!("log.otlp_endpoint {endpoint:?}"))?,
        ),
    };
    let spans = provider
        .as_ref()
        .map(|provider| tracing_opentelemetry::layer().with_tracer(provider.tracer("jackfield")));
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .with(spans)
        .try_init()
        .context("the log does not start")?;
    Ok(Telemetry(provider))
}

fn provider(endpoint: &str, runtime: &Handle) -> Result<SdkTracerProvider> {
    let client = OnRuntime {
        runtime: runtime.clone(),
        client: Client::builder(TokioExecutor::new()).build(outbound::connector()?),
    };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(Protocol::HttpJson)
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .build()?;
    let resource = Resource::builder().with_service_name("jackfield").build();
    Ok(SdkTracerProvider::builder()
        .with_resource(resource)
        .with_batch_exporter(exporter)
        .build())
}

/// Sends the exporter's requests on the host's runtime: the exporter's own thread has none.
#[derive(Debug)]
struct OnRuntime {
    runtime: Handle,
    client: Client<outbound::Connector, Full<Bytes>>,
}

#[async_trait::async_trait]
impl HttpClient for OnRuntime {
    async fn send_bytes(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sending = self.runtime.spawn(async move {
            let (parts, body) = client.request(request.map(Full::new)).await?.into_parts();
            let body = Limited::new(body, COLLECTOR_ANSWER_BYTES_MAX)
                .collect()
                .await?
                .to_bytes();
            Ok(http::Response::from_parts(parts, body))
        });
        sending.await?
    }
}

//! A plugin's requests to other machines: every hop is decided by capability just before it is sent by `outbound`,
//! redirects included.
//!
//! Submitted requests that wait for consent are bounded in number and end with their plugin.

use crate::{
    authority::Authority,
    bindings::jackfield::plugin::{
        http_client::{Request as GuestRequest, Response as GuestResponse},
        types::{ErrorCode, PluginError},
    },
    imports::error,
    instances::{bus::Message, context::PluginContext, store_data::Scope},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use capability::{CapabilityId, CapabilityUse, Decision, HostPattern, Outcome, Reason, Target};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use limits::plugin as bounds;
use outbound::{Account, Client, Failed, Request, Response};
use plugin_manifest::Manifest;
use plugin_store::ConsentState;
use serde_json::{Value, json};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// The bus topic on which an instance receives the outcome of a submitted request.
const TOPIC: &str = "http-response";

/// Sends requests for one plugin.
pub(crate) struct Fetcher {
    client: Client,
    account: Account,
    /// Hosts of the manifest's `network`; empty: every host that the capability covers.
    hosts: Vec<Option<HostPattern>>,
    https_only: bool,
    submitted: Arc<Semaphore>,
    ids: AtomicU64,
}

/// A hop that was decided about.
struct Hop {
    host: String,
    port: u16,
    method: String,
    path: String,
    decision: Decision,
}

impl Fetcher {
    /// Sends for the plugin with this manifest, at most `per_minute` requests a minute.
    pub(crate) fn new(client: Client, manifest: &Manifest, per_minute: u32) -> Self {
        let network = manifest.network.clone().unwrap_or_default();
        // A pattern that cannot be understood matches nothing, and does not widen what the others allow.
        let hosts = network
            .allowed_domains
            .iter()
            .map(|host| HostPattern::parse(host).ok());
        Self {
            client,
            account: Account::new(manifest.id.as_str(), Some(per_minute)),
            hosts: hosts.collect(),
            https_only: network.require_https,
            submitted: Arc::new(Semaphore::new(bounds::SUBMITTED_MAX)),
            ids: AtomicU64::new(1),
        }
    }

    fn request(&self, request: GuestRequest) -> Result<Request, PluginError> {
        let bad = |what: String| error(ErrorCode::InvalidArgument, what);
        let method = Method::try_from(request.method.as_str())
            .map_err(|_| bad(format!("method {:?} is not an HTTP method", request.method)))?;
        let mut headers = HeaderMap::with_capacity(request.headers.len());
        for (name, value) in request.headers {
            let known = HeaderName::try_from(name.as_str())
                .map_err(|_| bad(format!("header {name:?} has no valid name")))?;
            let value = HeaderValue::try_from(value)
                .map_err(|_| bad(format!("header {name:?} has no valid value")))?;
            headers.append(known, value);
        }
        Ok(Request {
            method,
            url: request.url,
            headers,
            body: Bytes::from(request.body.unwrap_or_default()),
            https_only: self.https_only,
        })
    }

    fn decide(
        &self,
        authority: &Authority,
        host: &str,
        port: u16,
        method: &Method,
        path: &str,
    ) -> Decision {
        if !self.hosts.is_empty()
            && !self
                .hosts
                .iter()
                .flatten()
                .any(|pattern| pattern.matches(host))
        {
            return Decision::because(Reason::OutsideDeclaration);
        }
        let target = Target::host(host, port)
            .with_method(method.as_str())
            .with_path(path);
        authority.decide(&CapabilityUse::new(CapabilityId::HttpFetch, target))
    }

    /// Sends a request and records the decision about each hop.
    async fn send(
        &self,
        shared: &PluginContext,
        request: Request,
    ) -> Result<Response, PluginError> {
        let (began, hops) = (Instant::now(), Mutex::<Vec<Hop>>::default());
        shared.metrics.request();
        let answer = self.client.send(&self.account, request, |to, method| {
            let decision = self.decide(&shared.authority, to.host(), to.port(), method, to.path());
            let hop = Hop {
                host: to.host().to_owned(),
                port: to.port(),
                method: method.to_string(),
                path: to.path().to_owned(),
                decision,
            };
            hops.lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .push(hop);
            decision
        });
        let answer = answer.await;
        let hops = hops
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        for (at, hop) in hops.iter().enumerate() {
            // The last hop brought the answer, or was waited for in vain.
            let is_last = at + 1 == hops.len() && hop.decision.is_allowed();
            let took = is_last.then(|| began.elapsed());
            shared.authority.note(&hop.asked(), hop.decision, took);
        }
        if let Err(Failed::Refused(why)) = &answer {
            let asked = hops.last().map(Hop::asked);
            let asked = asked.unwrap_or(CapabilityUse::any(CapabilityId::HttpFetch));
            shared.metrics.refuse_by_network(why.code());
            let why = format!("network rule: {why}");
            shared.authority.note_refusal(&asked, &why);
        }
        match (answer, hops.last()) {
            (Ok(response), _) => Ok(response),
            (Err(Failed::Capability { decision, .. }), Some(hop))
                if decision.outcome == Outcome::Ask =>
            {
                Err(shared.authority.ask(&hop.asked()).await)
            }
            (Err(failed), _) => Err(refused(&failed)),
        }
    }

    /// Sends a request and waits for the answer.
    pub(crate) async fn fetch(
        &self,
        shared: &PluginContext,
        request: GuestRequest,
    ) -> Result<GuestResponse, PluginError> {
        let request = self.request(request)?;
        let response = self.send(shared, request).await?;
        let Response {
            status,
            headers,
            body,
            ..
        } = response;
        Ok(GuestResponse {
            status: status.as_u16(),
            headers: fields(&headers),
            body: body.into(),
        })
    }

    /// Sends a request in the background; the instance receives the outcome on the bus.
    pub(crate) fn submit(
        &self,
        shared: &Arc<PluginContext>,
        scope: Scope,
        number: u64,
        hops: u8,
        request: GuestRequest,
    ) -> Result<String, PluginError> {
        let request = self.request(request)?;
        let full = |_| {
            error(
                ErrorCode::RateLimited,
                format!(
                    "more than {} submitted requests wait",
                    bounds::SUBMITTED_MAX
                ),
            )
        };
        let place = self.submitted.clone().try_acquire_owned().map_err(full)?;
        let id = format!("{number}-{}", self.ids.fetch_add(1, Ordering::Relaxed));
        let submitted = Submitted {
            shared: shared.clone(),
            scope,
            number,
            hops,
            id: id.clone(),
            _place: place,
        };
        tokio::spawn(submitted.run(request));
        Ok(id)
    }
}

impl Hop {
    fn asked(&self) -> CapabilityUse<'_> {
        let target = Target::host(&self.host, self.port)
            .with_method(&self.method)
            .with_path(&self.path);
        CapabilityUse::new(CapabilityId::HttpFetch, target)
    }
}

/// A request that was submitted.
struct Submitted {
    shared: Arc<PluginContext>,
    scope: Scope,
    number: u64,
    /// Those of the call that submitted it.
    hops: u8,
    id: String,
    _place: OwnedSemaphorePermit,
}

impl Submitted {
    async fn run(self, request: Request) {
        let mut changed = self.shared.authority.changed();
        let first = self
            .shared
            .fetcher
            .send(&self.shared, request.clone())
            .await;
        let consent = first
            .as_ref()
            .err()
            .filter(|failed| failed.code == ErrorCode::ConsentPending)
            .and_then(consent_id);
        self.tell(first);
        let Some(consent) = consent else { return };
        // The submitted request gives up long before the request for consent expires.
        let decided = timeout(Duration::from_millis(bounds::CONSENT_WAIT_MS), async {
            loop {
                match self.shared.store.consent(&consent).await {
                    Ok(Some(found)) if found.state == ConsentState::Pending => {}
                    Ok(found) => {
                        return found.is_some_and(|found| found.state == ConsentState::Allowed);
                    }
                    Err(_) => return false,
                }
                if changed.changed().await.is_err() {
                    return false;
                }
            }
        });
        match decided.await {
            Ok(true) => {
                let second = self.shared.fetcher.send(&self.shared, request).await;
                self.tell(second);
            }
            Ok(false) => self.tell(Err(error(ErrorCode::NotGranted, "a user refused it"))),
            Err(_) => self.tell(Err(error(
                ErrorCode::Timeout,
                "no user has decided about it in time",
            ))),
        }
    }

    fn tell(&self, outcome: Result<Response, PluginError>) {
        let Some(pool) = self.shared.pool.upgrade() else {
            return;
        };
        let payload = match outcome {
            Ok(Response {
                status,
                headers,
                body,
                duration,
                ..
            }) => {
                let headers: Vec<Value> = headers
                    .iter()
                    .map(|(name, value)| {
                        json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())])
                    })
                    .collect();
                let ok = json!({
                    "status": status.as_u16(), "headers": headers, "body": STANDARD.encode(&body), "durationMs": duration.as_millis() as u64,
                });
                json!({"id": self.id, "ok": ok})
            }
            Err(failed) => {
                json!({"id": self.id, "err": {"code": code(failed.code), "message": failed.message}})
            }
        };
        let message = Message {
            topic: TOPIC.into(),
            payload: payload.to_string().into(),
            published_ms: crate::now_ms(),
            replayed: false,
            hops: self.hops,
        };
        pool.message(&self.scope, self.number, message);
    }
}

/// The question that an error of the kind `consent-pending` names.
fn consent_id(failed: &PluginError) -> Option<String> {
    let details: Value = serde_json::from_str(failed.details.as_deref()?).ok()?;
    details["consent"].as_str().map(str::to_owned)
}

/// The code in the bus message: `consent_pending`, or `error`.
fn code(code: ErrorCode) -> &'static str {
    if code == ErrorCode::ConsentPending {
        "consent_pending"
    } else {
        "error"
    }
}

fn refused(failed: &Failed) -> PluginError {
    let code = match failed.code() {
        "invalid-argument" => ErrorCode::InvalidArgument,
        "not-declared" => ErrorCode::NotDeclared,
        "not-granted" => ErrorCode::NotGranted,
        "rate-limited" => ErrorCode::RateLimited,
        "too-large" => ErrorCode::TooLarge,
        "timeout" => ErrorCode::Timeout,
        "unavailable" => ErrorCode::Unavailable,
        _ => ErrorCode::Denied,
    };
    error(code, failed.to_string())
}

fn fields(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect()
}

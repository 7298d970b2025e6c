//! The client: one request with its redirects, under one deadline.
//!
//! A redirect is a new request except for the rate: it is parsed, checked, decided, resolved and connected anew.

use crate::{
    Account, BadTls, Failed, Request, Resolve, Response,
    connect::connect,
    exchange::{Outgoing, exchange},
    tls,
};
use bytes::Bytes;
use capability::{Decision, Outcome};
use egress::{
    Destination, Guard, RedirectMethod, Refused, Rule, Scheme, is_kept_across_origins,
    redirect_method,
};
use http::{HeaderMap, Method, StatusCode, header::LOCATION};
use limits::egress::{ADDRESSES_MAX, CONNECT_TIMEOUT_MS, RESOLVE_TIMEOUT_MS, TOTAL_TIMEOUT_MS};
use rustls::ClientConfig;
use std::{net::IpAddr, sync::Arc, time::Duration};
use tokio::time::{Instant, timeout};

/// Decides which destinations and addresses are allowed: a [`Guard`], or in tests a policy that takes one loopback
/// address for public.
pub trait Policy: Send + Sync {
    /// Judges what a URL says.
    ///
    /// # Errors
    /// The rule that it breaks.
    fn check(&self, to: &Destination) -> Result<(), Refused>;

    /// Judges one address of a destination.
    ///
    /// # Errors
    /// The rule that it breaks.
    fn check_address(&self, to: &Destination, address: IpAddr) -> Result<(), Refused>;
}

impl Policy for Guard {
    fn check(&self, to: &Destination) -> Result<(), Refused> {
        Self::check(self, to)
    }

    fn check_address(&self, to: &Destination, address: IpAddr) -> Result<(), Refused> {
        Self::check_address(self, to.host(), address)
    }
}

/// How the client works.
#[derive(Debug, Clone)]
pub struct Config {
    /// Time to look up a name.
    pub resolve_timeout: Duration,
    /// Time to connect to one address, TLS included.
    pub connect_timeout: Duration,
    /// Time for one request, redirects and body included.
    pub total_timeout: Duration,
    /// One more authority that is trusted, in PEM: a company's own.
    pub extra_root: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            resolve_timeout: Duration::from_millis(RESOLVE_TIMEOUT_MS),
            connect_timeout: Duration::from_millis(CONNECT_TIMEOUT_MS),
            total_timeout: Duration::from_millis(TOTAL_TIMEOUT_MS),
            extra_root: None,
        }
    }
}

/// Sends requests of plugins. Cheap to clone; all plugins share one.
#[derive(Clone)]
pub struct Client {
    config: Arc<Config>,
    tls: Arc<ClientConfig>,
    policy: Arc<dyn Policy>,
    resolver: Arc<dyn Resolve>,
}

impl Client {
    /// Makes a client.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(
        config: Config,
        policy: Arc<dyn Policy>,
        resolver: Arc<dyn Resolve>,
    ) -> Result<Self, BadTls> {
        let tls = tls::client_config(config.extra_root.as_deref())?;
        Ok(Self {
            config: Arc::new(config),
            tls,
            policy,
            resolver,
        })
    }

    /// Sends a request in a plugin's name and reads the whole answer. `permit` decides about each hop by capability: it
    /// is asked after the URL was checked and before anything is resolved, so that no consent is requested for what is
    /// refused anyway.
    ///
    /// # Errors
    /// [`Failed`]; a refusal by rule is logged with the rule's name.
    pub async fn send(
        &self,
        account: &Account,
        request: Request,
        permit: impl FnMut(&Destination, &Method) -> Decision + Send,
    ) -> Result<Response, Failed> {
        let total = self.config.total_timeout;
        let limit_ms = u64::try_from(total.as_millis()).unwrap_or(u64::MAX);
        let answer = timeout(total, self.follow(account, request, permit))
            .await
            .unwrap_or(Err(Failed::Timeout { limit_ms }));
        if let Err(Failed::Refused(refused)) = &answer {
            tracing::warn!(
                plugin = account.plugin(),
                rule = refused.code(),
                "outbound request denied: {refused}"
            );
        }
        answer
    }

    async fn follow(
        &self,
        account: &Account,
        request: Request,
        mut permit: impl FnMut(&Destination, &Method) -> Decision + Send,
    ) -> Result<Response, Failed> {
        let started = Instant::now();
        request.check()?;
        let mut to = Destination::parse(&request.url)?;
        let mut sent = Outgoing {
            method: request.method,
            headers: request.headers,
            body: request.body,
        };
        let mut place = None;
        let mut hops = 0;
        loop {
            self.allow(&to, &sent.method, request.https_only, &mut permit)?;
            if place.is_none() {
                place = Some(account.admit()?);
            }
            let addresses = self.addresses(&to).await?;
            let stream = connect(&to, &addresses, &self.tls, self.config.connect_timeout).await?;
            let answer = exchange(stream, &to, sent.clone()).await?;
            if let Some(next) = redirect(&to, &mut sent, answer.status, &answer.headers, hops + 1)?
            {
                to = next;
                hops += 1;
                continue;
            }
            let (status, headers, body) = answer.read(&to).await?;
            return Ok(Response {
                status,
                headers,
                body,
                url: to.url().to_string(),
                redirects: hops,
                duration: started.elapsed(),
            });
        }
    }

    /// Rules first, then the capability.
    fn allow(
        &self,
        to: &Destination,
        method: &Method,
        https_only: bool,
        permit: &mut impl FnMut(&Destination, &Method) -> Decision,
    ) -> Result<(), Failed> {
        if https_only && to.scheme() != Scheme::Https {
            return Err(Refused::new(Rule::HttpsRequired, to.host()).into());
        }
        self.policy.check(to)?;
        let decision = permit(to, method);
        match decision.outcome {
            Outcome::Allow => Ok(()),
            Outcome::Deny | Outcome::Ask => Err(Failed::Capability {
                decision,
                to: Box::new(to.clone()),
            }),
        }
    }

    /// Every address of a destination, each checked; one that is forbidden forbids them all, because the list is the
    /// attacker's.
    async fn addresses(&self, to: &Destination) -> Result<Vec<IpAddr>, Failed> {
        let addresses = match to.address() {
            Some(address) => vec![address],
            None => match timeout(
                self.config.resolve_timeout,
                self.resolver.resolve(to.host()),
            )
            .await
            {
                Ok(found) => found.map_err(|error| Failed::unavailable(to.host(), error))?,
                Err(_) => {
                    return Err(Failed::unavailable(
                        to.host(),
                        "its name is not resolved in time",
                    ));
                }
            },
        };
        match addresses.len() {
            0 => return Err(Refused::new(Rule::NoAddress, to.host()).into()),
            count if count > ADDRESSES_MAX => {
                return Err(Refused::new(Rule::TooManyAddresses, to.host()).into());
            }
            _ => {}
        }
        for address in &addresses {
            self.policy.check_address(to, *address)?;
        }
        Ok(addresses)
    }
}

/// Where an answer leads on, with what is sent there; none when it is the answer.
fn redirect(
    from: &Destination,
    sent: &mut Outgoing,
    status: StatusCode,
    headers: &HeaderMap,
    hop: usize,
) -> Result<Option<Destination>, Failed> {
    let Some(what) = redirect_method(status.as_u16(), sent.method.as_str()) else {
        return Ok(None);
    };
    let Some(location) = headers.get(LOCATION) else {
        return Ok(None);
    };
    let to = from.redirected(location.as_bytes(), hop)?;
    if what == RedirectMethod::Get {
        sent.method = Method::GET;
        sent.body = Bytes::new();
        sent.headers = kept(&sent.headers, |name| !name.starts_with("content-"));
    }
    if !from.same_origin(&to) {
        sent.headers = kept(&sent.headers, is_kept_across_origins);
    }
    Ok(Some(to))
}

fn kept(headers: &HeaderMap, keep: impl Fn(&str) -> bool) -> HeaderMap {
    let kept = headers.iter().filter(|(name, _)| keep(name.as_str()));
    kept.map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

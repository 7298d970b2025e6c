//! Servers that answer by script and count their visitors, a resolver that answers by script, and a policy that takes
//! two addresses for public.

use capability::{Decision, Reason};
use egress::{Destination, Guard, Refused};
use http::Method;
use outbound::{Account, Client, Config, Failed, Policy, Request, Resolve, Resolving, Response};
use std::{
    collections::{BTreeMap, VecDeque},
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

/// What is reachable.
pub(crate) const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
/// Reachable as well, without a listener.
pub(crate) const EMPTY: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 4));
/// What is not.
pub(crate) const PRIVATE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// How a server answers.
#[derive(Clone)]
pub(crate) enum Reply {
    /// These bytes, then the end.
    Bytes(Vec<u8>),
    /// These bytes, and then the second ones again and again until the reader is gone.
    Endless(Vec<u8>, Vec<u8>),
    /// These bytes, and then nothing more, with the connection left open.
    Silence(Vec<u8>),
}

impl Reply {
    pub(crate) fn ok(body: &str) -> Self {
        Self::Bytes(
            format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
            .into_bytes(),
        )
    }

    pub(crate) fn redirect(status: u16, location: &str) -> Self {
        Self::Bytes(
            format!("HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")
                .into_bytes(),
        )
    }
}

/// A server on a port of its own.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<String>>>,
}

type Script = Arc<dyn Fn(&str) -> Reply + Send + Sync>;

impl Server {
    pub(crate) async fn start(
        ip: IpAddr,
        script: impl Fn(&str) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::with(SocketAddr::new(ip, 0), None, script).await
    }

    /// At a port that another server has on another address.
    pub(crate) async fn at(
        address: SocketAddr,
        script: impl Fn(&str) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::with(address, None, script).await
    }

    pub(crate) async fn with(
        at: SocketAddr,
        tls: Option<TlsAcceptor>,
        script: impl Fn(&str) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(at).await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            accepted: Arc::default(),
            seen: Arc::default(),
        };
        let (accepted, seen, script) = (
            Arc::clone(&server.accepted),
            Arc::clone(&server.seen),
            Arc::new(script) as Script,
        );
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::SeqCst);
                let (seen, script, tls) = (Arc::clone(&seen), Arc::clone(&script), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &seen, &*script).await;
                            }
                        }
                        None => serve(stream, &seen, &*script).await,
                    }
                });
            }
        });
        server
    }

    /// How many came.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// What they sent, whole requests.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    seen: &Mutex<Vec<String>>,
    script: &(dyn Fn(&str) -> Reply + Send + Sync),
) {
    let mut request = Vec::new();
    let mut buffer = [0; 4_096];
    while !is_complete(&request) {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => request.extend_from_slice(&buffer[..count]),
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    seen.lock().unwrap().push(request.clone());
    // A client that hangs up early makes these fail; the test looks at what the client says.
    match script(&request) {
        Reply::Bytes(bytes) => drop(stream.write_all(&bytes).await),
        Reply::Endless(head, more) => {
            let mut sent = stream.write_all(&head).await;
            while sent.is_ok() {
                sent = stream.write_all(&more).await;
            }
        }
        Reply::Silence(bytes) => {
            drop(stream.write_all(&bytes).await);
            drop(stream.read(&mut buffer).await);
        }
    }
    drop(stream.shutdown().await);
}

fn is_complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .and_then(|length| length.parse().ok());
    body.len() >= length.unwrap_or(0)
}

/// A resolver that answers each question with the next of its answers, and the last one again and again.
#[derive(Default)]
pub(crate) struct ScriptedResolver {
    answers: Mutex<BTreeMap<String, VecDeque<Vec<IpAddr>>>>,
    asked: AtomicUsize,
}

impl ScriptedResolver {
    pub(crate) fn new(answers: &[(&str, &[&[IpAddr]])]) -> Arc<Self> {
        let answers = answers.iter().map(|(host, lists)| {
            (
                (*host).to_owned(),
                lists.iter().map(|list| list.to_vec()).collect(),
            )
        });
        Arc::new(Self {
            answers: Mutex::new(answers.collect()),
            asked: AtomicUsize::new(0),
        })
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Resolve for ScriptedResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        let answer = answers.get_mut(host).map(|list| {
            if list.len() > 1 {
                list.pop_front().unwrap()
            } else {
                list[0].clone()
            }
        });
        Box::pin(async move { answer.ok_or_else(|| io::Error::other("no such name")) })
    }
}

/// The guard of the product, with two loopback addresses called public.
pub(crate) struct Loopback(pub(crate) Guard);

impl Policy for Loopback {
    fn check(&self, to: &Destination) -> Result<(), Refused> {
        if to.address().is_some_and(is_public) {
            Ok(())
        } else {
            self.0.check(to)
        }
    }

    fn check_address(&self, to: &Destination, address: IpAddr) -> Result<(), Refused> {
        if is_public(address) {
            Ok(())
        } else {
            self.0.check_address(to.host(), address)
        }
    }
}

fn is_public(address: IpAddr) -> bool {
    address == PUBLIC || address == EMPTY
}

/// A client in front of these names.
pub(crate) fn client(resolver: &Arc<ScriptedResolver>) -> Client {
    client_with(Config::default(), resolver)
}

pub(crate) fn client_with(config: Config, resolver: &Arc<ScriptedResolver>) -> Client {
    Client::new(
        config,
        Arc::new(Loopback(Guard::default())),
        Arc::clone(resolver) as Arc<dyn Resolve>,
    )
    .unwrap()
}

/// A client that gives up soon, for answers that never end.
pub(crate) fn hasty(resolver: &Arc<ScriptedResolver>) -> Client {
    client_with(
        Config {
            total_timeout: Duration::from_millis(300),
            ..Config::default()
        },
        resolver,
    )
}

/// Everything is permitted.
pub(crate) fn anything(_: &Destination, _: &Method) -> Decision {
    Decision::because(Reason::Granted)
}

pub(crate) async fn send(client: &Client, request: Request) -> Result<Response, Failed> {
    client
        .send(&Account::new("acme.test", None), request, anything)
        .await
}

/// The rule that refuses a `GET`.
pub(crate) async fn rule(client: &Client, url: &str) -> &'static str {
    match send(client, Request::get(url)).await {
        Err(Failed::Refused(refused)) => refused.code(),
        other => panic!("{url}: {other:?}"),
    }
}

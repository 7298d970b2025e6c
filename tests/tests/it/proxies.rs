//! The host behind nginx, HAProxy and Caddy, with the files of `infra/deploy/proxies`: only ports and certificates are
//! replaced.

use serde_json::{Value, json};
use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;
use test_support::{root, skip};
use tests::{
    PATIENCE,
    client::{Client, Native},
    host::Host,
    http::Request,
    plugins::Directory,
    until,
};

/// A running proxy; it ends with this value.
struct Proxy {
    process: Child,
    address: String,
    folder: TempDir,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts `command` with the arguments for its configuration, the file `name` with some texts replaced. `None` if it is
/// not installed.
fn start(
    host: &Host,
    command: &str,
    name: &str,
    replaced: impl Fn(&str) -> Vec<(&'static str, String)>,
    arguments: impl Fn(&Path) -> Vec<String>,
) -> Option<Proxy> {
    let program = ["/usr/sbin", "/usr/bin", "/usr/local/bin"]
        .map(|folder| Path::new(folder).join(command))
        .into_iter()
        .find(|program| program.is_file())?;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let address = free_address();
    let mut text = fs::read_to_string(root().join("infra/deploy/proxies").join(name))
        .expect("the file of the proxy");
    let to_host = [("127.0.0.1:8080", host.address())];
    for (from, to) in to_host.into_iter().chain(replaced(&address)) {
        assert!(text.contains(from), "{name} has {from:?}");
        text = text.replace(from, &to);
    }
    let file = folder.path().join(name);
    fs::write(&file, text).expect("a written configuration");
    let log = fs::File::create(folder.path().join("log")).expect("a log file");
    let process = Command::new(program)
        .args(arguments(&file))
        .env("HOME", folder.path())
        .env("XDG_DATA_HOME", folder.path())
        .env("XDG_CONFIG_HOME", folder.path())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("the proxy starts");
    let mut proxy = Proxy {
        process,
        address,
        folder,
    };
    until(&format!("{command} listens"), || {
        let ended = proxy.process.try_wait().expect("a child of this process");
        let log = proxy.folder.path().join("log");
        assert!(
            ended.is_none(),
            "{command} ended: {}",
            fs::read_to_string(log).unwrap_or_default()
        );
        TcpStream::connect(&proxy.address).ok()
    });
    Some(proxy)
}

/// An address on which something may listen.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound").to_string()
}

fn nginx(host: &Host) -> Option<Proxy> {
    let replaced = |address: &str| {
        vec![
            ("listen 443 ssl;", format!("listen {address};")),
            (
                "ssl_certificate     /etc/ssl/chat.example.pem;",
                String::new(),
            ),
            (
                "ssl_certificate_key /etc/ssl/private/chat.example.key;",
                String::new(),
            ),
        ]
    };
    start(host, "nginx", "nginx.conf", replaced, |site| {
        let folder = site.parent().expect("a file is in a folder");
        let whole = folder.join("whole.conf");
        let at = |name: &str| folder.join(name).display().to_string();
        let mut text = format!(
            "daemon off;\npid {};\nerror_log {};\nevents {{}}\nhttp {{\naccess_log off;\n",
            at("pid"),
            at("errors")
        );
        for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            text.push_str(&format!("{kind}_temp_path {};\n", at(kind)));
        }
        text.push_str(&format!("include {};\n}}\n", site.display()));
        fs::write(&whole, text).expect("a written configuration");
        vec!["-c".to_owned(), whole.display().to_string()]
    })
}

fn haproxy(host: &Host) -> Option<Proxy> {
    let replaced = |address: &str| {
        vec![(
            "bind :443 ssl crt /etc/ssl/chat.example.pem alpn http/1.1",
            format!("bind {address}"),
        )]
    };
    start(host, "haproxy", "haproxy.cfg", replaced, |file| {
        vec![
            "-db".to_owned(),
            "-f".to_owned(),
            file.display().to_string(),
        ]
    })
}

fn caddy(host: &Host) -> Option<Proxy> {
    let replaced = |address: &str| {
        let port = address.rsplit(':').next().expect("a port");
        vec![(
            "chat.example {",
            format!("{{\n\tadmin off\n\tauto_https off\n}}\nhttp://127.0.0.1:{port} {{"),
        )]
    };
    start(host, "caddy", "Caddyfile", replaced, |file| {
        ["run", "--adapter", "caddyfile", "--config"]
            .map(str::to_owned)
            .into_iter()
            .chain([file.display().to_string()])
            .collect()
    })
}

/// A host as the guide configures it behind a proxy, with few places for each address.
fn host(plugins: &Directory) -> Host {
    let host = plugins
        .settings()
        .config("[socket]\ntrusted_proxies = [\"127.0.0.1\"]\nconnections_per_address_max = 6\n")
        .start();
    host.create_server("olga", "lobby");
    host.plugin_in("tests.probe", "loaded");
    host
}

/// Everything that has to hold behind a proxy.
fn holds(mut host: Host, proxy: Option<Proxy>, name: &str) {
    let Some(proxy) = proxy else {
        return skip(&format!("{name} is not installed"));
    };
    let direct = host.address();
    host.answers_at(&proxy.address);
    assert_ne!(direct, host.address());
    users_talk(&host);
    answers_are_those_of_the_host(&host);
    a_log_arrives_as_it_is_written(&host);
    what_is_for_operators_stays_inside(&host);
    an_address_is_that_of_the_client(&host);
    // The end of the host is told through the proxy.
    let mut client = Client::identified(&host, "erin");
    client.join("lobby");
    host.signal("TERM");
    assert_eq!(client.closed().0, 1001);
}

fn users_talk(host: &Host) {
    let mut alice = Client::joined(host, "alice", "lobby");
    let mut bob = Client::joined(host, "bob", "lobby");
    alice.expect("user_joined");
    bob.send(json!({"type": "chat_message", "serverId": "lobby", "message": "hello"}));
    assert_eq!(alice.expect("chat_message")["message"], "hello");
    alice.close();
    bob.close();
}

fn answers_are_those_of_the_host(host: &Host) {
    let answer = host.get("/api/servers/lobby").expect(200);
    let tag = answer.header("etag").expect("a tag").to_owned();
    let token = host.token("olga", "client");
    let patch = |tag: &str| {
        let request = Request::new("PATCH", "/api/servers/lobby")
            .bearer(&token)
            .header("if-match", tag)
            .json(&json!({"description": "changed"}));
        host.send(&request)
    };
    let _ = patch(&tag).expect(200);
    let stale = patch(&tag).expect(412);
    assert!(stale.json()["code"].is_string(), "{}", stale.text());
    let large = json!({"id": "large", "name": "x".repeat(limits::rest::BODY_BYTES_MAX)});
    let refused = host.act("olga", "POST", "/api/servers", &large).expect(413);
    assert!(refused.json()["code"].is_string(), "{}", refused.text());
    // The largest body of a plugin's route.
    let body = vec![b'x'; limits::plugin::REQUEST_BYTES_MAX];
    let echoed = host.ask_plugin("POST", "/probe/stream", &body).expect(200);
    assert_eq!(echoed.body.len(), body.len());
}

/// A followed log is not kept back until a buffer is full.
fn a_log_arrives_as_it_is_written(host: &Host) {
    let mut follower = TcpStream::connect(host.address()).expect("the proxy listens");
    follower
        .set_read_timeout(Some(PATIENCE))
        .expect("a socket takes a timeout");
    let token = host.known_token("root", "admin");
    write!(
        follower,
        "GET /api/plugins/tests.probe/logs?follow=true&lines=0 HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\n\r\n",
        host.address()
    )
    .expect("a request");
    let mut heard = String::new();
    let mut hear = |text: &str| {
        while !heard.contains(text) {
            let mut bytes = [0; 1024];
            let count = follower.read(&mut bytes).expect("a part of the answer");
            assert_ne!(count, 0, "the answer ended: {heard}");
            heard.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    };
    hear("text/event-stream");
    let _ = host
        .ask_plugin("POST", "/probe/log", b"behind a proxy")
        .expect(200);
    hear("behind a proxy");
}

fn what_is_for_operators_stays_inside(host: &Host) {
    let _ = host.get("/metrics").expect(404);
    let _ = host
        .send(&Request::new("POST", "/internal/wake"))
        .expect(404);
    let _ = host.get("/healthz").expect(200);
}

/// What a client writes into `X-Forwarded-For` gives it no other address, and clients of other addresses have places of
/// their own.
fn an_address_is_that_of_the_client(host: &Host) {
    let mut open = Vec::new();
    let refused = loop {
        let forged = format!("203.0.113.{}", open.len());
        match Native::open(host, "/ws", &[("x-forwarded-for", &forged)]) {
            Ok(socket) => open.push(socket),
            Err(refused) => break refused,
        }
        assert!(open.len() <= 6, "a forged address has places of its own");
    };
    let tungstenite::Error::Http(answer) = *refused else {
        panic!("an answer: {refused}");
    };
    assert_eq!(
        answer.status(),
        503,
        "the places of one address are used up"
    );
    let other = from_address(host, Ipv4Addr::new(127, 0, 0, 2));
    assert!(other.starts_with("HTTP/1.1 200"), "{other}");
}

/// The status line of `GET /limits` from another address of this machine.
fn from_address(host: &Host, address: Ipv4Addr) -> String {
    let socket =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    let own: SocketAddr = (address, 0).into();
    let to: SocketAddr = host.address().parse().expect("an address");
    socket.bind(&own.into()).expect("an address of loopback");
    socket.connect(&to.into()).expect("the proxy listens");
    let mut stream = TcpStream::from(socket);
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a socket takes a timeout");
    write!(
        stream,
        "GET /limits HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n\r\n"
    )
    .expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.lines().next().unwrap_or_default().to_owned()
}

fn installed() -> Directory {
    let directory = Directory::default();
    directory.install("plugin-probe", |_: &mut Value| {});
    directory
}

#[test]
fn behind_nginx() {
    let directory = installed();
    let host = host(&directory);
    let proxy = nginx(&host);
    holds(host, proxy, "nginx");
}

#[test]
fn behind_haproxy() {
    let directory = installed();
    let host = host(&directory);
    let proxy = haproxy(&host);
    holds(host, proxy, "HAProxy");
}

#[test]
fn behind_caddy() {
    let directory = installed();
    let host = host(&directory);
    let proxy = caddy(&host);
    holds(host, proxy, "Caddy");
}

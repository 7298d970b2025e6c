//! Redirects: followed, limited and refused.

use crate::support::{PRIVATE, PUBLIC, Reply, ScriptedResolver, Server, client, rule, send};
use bytes::Bytes;
use capability::{Decision, Reason};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use outbound::{Account, Request};

fn path(request: &str) -> &str {
    request.split(' ').nth(1).unwrap_or_default()
}

#[tokio::test]
async fn a_redirect_leads_to_no_forbidden_place() {
    let forbidden = Server::start(PRIVATE, |_| Reply::ok("secret")).await;
    let port = forbidden.port();
    let public = Server::start(PUBLIC, move |request| match path(request) {
        "/literal" => Reply::redirect(302, &format!("http://127.0.0.1:{port}/")),
        "/metadata" => Reply::redirect(302, "http://169.254.169.254/latest/meta-data/"),
        "/name" => Reply::redirect(307, &format!("http://evil.example:{port}/")),
        "/file" => Reply::redirect(301, "file:///etc/passwd"),
        "/user" => Reply::redirect(302, "http://a@good.example/"),
        "/local" => Reply::redirect(302, &format!("//localhost:{port}/")),
        _ => Reply::redirect(302, "/more"),
    })
    .await;
    let client = client(&ScriptedResolver::new(&[("evil.example", &[&[PRIVATE]])]));
    for (from, expected) in [
        ("/literal", "loopback"),
        ("/metadata", "link-local"),
        ("/name", "loopback"),
        ("/file", "scheme"),
        ("/user", "userinfo"),
        ("/local", "local-name"),
    ] {
        assert_eq!(
            rule(
                &client,
                &format!("http://127.0.0.2:{}{from}", public.port())
            )
            .await,
            expected,
            "{from}"
        );
    }
    assert_eq!(forbidden.accepted(), 0);
    let before = public.accepted();
    assert_eq!(
        rule(
            &client,
            &format!("http://127.0.0.2:{}/round", public.port())
        )
        .await,
        "too-many-redirects"
    );
    assert_eq!(
        public.accepted() - before,
        11,
        "the first request and ten redirects"
    );
}

#[tokio::test]
async fn the_capability_is_asked_about_every_hop() {
    let second = Server::start(PUBLIC, |_| Reply::ok("second")).await;
    let port = second.port();
    let first = Server::start(PUBLIC, move |_| {
        Reply::redirect(302, &format!("http://second.example:{port}/x"))
    })
    .await;
    let resolver = ScriptedResolver::new(&[
        ("first.example", &[&[PUBLIC]]),
        ("second.example", &[&[PUBLIC]]),
    ]);
    let client = client(&resolver);
    let account = Account::new("acme.test", None);
    let url = format!("http://first.example:{}/", first.port());
    let mut asked = Vec::new();
    let answer = client.send(&account, Request::get(&url), |to, _| {
        asked.push(to.host().to_owned());
        Decision::because(if to.host() == "first.example" {
            Reason::Granted
        } else {
            Reason::Prompt
        })
    });
    assert_eq!(answer.await.unwrap_err().code(), "consent-pending");
    assert_eq!(
        (asked, second.accepted()),
        (
            vec!["first.example".to_owned(), "second.example".to_owned()],
            0
        )
    );
    let answer = send(&client, Request::get(&url)).await.unwrap();
    assert_eq!(
        (&*answer.body, answer.redirects, &*answer.url),
        (
            &b"second"[..],
            1,
            &*format!("http://second.example:{port}/x")
        )
    );
}

#[tokio::test]
async fn what_says_who_asks_does_not_follow_to_another_host() {
    let other = Server::start(PUBLIC, |_| Reply::ok("")).await;
    let port = other.port();
    let first = Server::start(PUBLIC, move |request| match path(request) {
        "/same" => Reply::redirect(302, "/arrived"),
        "/other" => Reply::redirect(302, &format!("http://other.example:{port}/arrived")),
        _ => Reply::ok(""),
    })
    .await;
    let resolver = ScriptedResolver::new(&[
        ("first.example", &[&[PUBLIC]]),
        ("other.example", &[&[PUBLIC]]),
    ]);
    let client = client(&resolver);
    let headers = HeaderMap::from_iter(
        [
            ("authorization", "Bearer secret"),
            ("cookie", "secret"),
            ("x-api-key", "secret"),
            ("accept", "text/plain"),
        ]
        .map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        }),
    );
    for from in ["/same", "/other"] {
        let url = format!("http://first.example:{}{from}", first.port());
        send(
            &client,
            Request {
                headers: headers.clone(),
                ..Request::get(&url)
            },
        )
        .await
        .unwrap();
    }
    let seen = first.seen();
    assert_eq!(
        seen[1].matches("secret").count(),
        3,
        "the same host gets all of it again: {}",
        seen[1]
    );
    let arrived = other.seen().remove(0);
    assert!(
        !arrived.contains("secret") && arrived.contains("accept: text/plain"),
        "{arrived}"
    );
    assert!(
        arrived.contains(&format!("host: other.example:{port}\r\n"))
            && arrived.contains("user-agent: jackfield/"),
        "{arrived}"
    );
}

#[tokio::test]
async fn method_and_body_follow_as_the_status_says() {
    let server = Server::start(PUBLIC, |request| match path(request) {
        "/see-other" => Reply::redirect(303, "/end"),
        "/found" => Reply::redirect(302, "/end"),
        "/temporary" => Reply::redirect(307, "/end"),
        "/nowhere" => Reply::Bytes(b"HTTP/1.1 302 Found\r\ncontent-length: 2\r\n\r\nhi".to_vec()),
        _ => Reply::ok(""),
    })
    .await;
    let client = client(&ScriptedResolver::new(&[]));
    let headers = HeaderMap::from_iter([(
        http::header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain"),
    )]);
    for (from, line, body) in [
        ("/see-other", "GET /end", ""),
        ("/found", "GET /end", ""),
        ("/temporary", "POST /end", "hello"),
    ] {
        let url = format!("http://127.0.0.2:{}{from}", server.port());
        let request = Request {
            method: Method::POST,
            body: Bytes::from_static(b"hello"),
            headers: headers.clone(),
            ..Request::get(&url)
        };
        send(&client, request).await.unwrap();
        let last = server.seen().pop().unwrap();
        assert!(
            last.starts_with(line) && last.ends_with(&format!("\r\n\r\n{body}")),
            "{from}: {last}"
        );
        assert_eq!(
            last.contains("content-type"),
            !body.is_empty(),
            "{from}: {last}"
        );
    }
    let answer = send(
        &client,
        Request::get(&format!("http://127.0.0.2:{}/nowhere", server.port())),
    )
    .await
    .unwrap();
    assert_eq!(
        (answer.status.as_u16(), &*answer.body),
        (302, &b"hi"[..]),
        "a redirect to nowhere is the answer"
    );
}

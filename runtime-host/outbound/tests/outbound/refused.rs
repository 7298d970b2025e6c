//! What never gets as far as a connection: literals, spellings, names, rebinding, ports, headers, capability, rates
//! (cases 79 to 82, 84 to 86).

use crate::support::{
    PRIVATE, PUBLIC, Reply, ScriptedResolver, Server, anything, client, rule, send,
};
use bytes::Bytes;
use capability::{Decision, Reason};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use outbound::{Account, Failed, Request};

#[tokio::test]
async fn no_spelling_of_a_forbidden_address_reaches_its_listener() {
    let forbidden = Server::start(PRIVATE, |_| Reply::ok("secret")).await;
    let port = forbidden.port();
    let resolver = ScriptedResolver::new(&[
        ("evil.example", &[&[PRIVATE]]),
        ("mapped.example", &[&["::ffff:127.0.0.1".parse().unwrap()]]),
    ]);
    let client = client(&resolver);
    for (host, expected) in [
        ("127.0.0.1", "loopback"),
        ("127.0.0.1.", "loopback"),
        ("2130706433", "loopback"),
        ("0x7f.1", "loopback"),
        ("0177.0.0.1", "loopback"),
        ("127.1", "loopback"),
        ("①②⑦.⓪.⓪.①", "loopback"),
        ("0.0.0.0", "unspecified"),
        ("[::1]", "loopback"),
        ("[::]", "unspecified"),
        ("[::ffff:127.0.0.1]", "v4-mapped"),
        ("[::127.0.0.1]", "v4-compatible"),
        ("[64:ff9b::7f00:1]", "nat64"),
        ("[2002:7f00:1::]", "6to4"),
        ("localhost", "local-name"),
        ("localhost.", "local-name"),
        ("a.localhost", "local-name"),
        ("evil.example", "loopback"),
        ("evil.example.", "loopback"),
        ("mapped.example", "v4-mapped"),
        ("good@127.0.0.1", "userinfo"),
    ] {
        assert_eq!(
            rule(&client, &format!("http://{host}:{port}/")).await,
            expected,
            "{host}"
        );
    }
    assert_eq!(forbidden.accepted(), 0);
}

#[tokio::test]
async fn one_forbidden_address_among_many_forbids_them_all() {
    let public = Server::start(PUBLIC, |_| Reply::ok("")).await;
    let forbidden = Server::at((PRIVATE, public.port()).into(), |_| Reply::ok("secret")).await;
    let resolver = ScriptedResolver::new(&[
        ("mixed.example", &[&[PUBLIC, PRIVATE]]),
        ("none.example", &[&[]]),
        ("many.example", &[&[PUBLIC; 65]]),
    ]);
    let client = client(&resolver);
    assert_eq!(
        rule(&client, &format!("http://mixed.example:{}/", public.port())).await,
        "loopback"
    );
    assert_eq!(rule(&client, "http://none.example/").await, "no-address");
    assert_eq!(
        rule(&client, "http://many.example/").await,
        "too-many-addresses"
    );
    assert_eq!((public.accepted(), forbidden.accepted()), (0, 0));
}

#[tokio::test]
async fn a_name_that_changes_its_address_is_connected_to_where_it_was_checked() {
    let public = Server::start(PUBLIC, |request| {
        if request.starts_with("GET /again") {
            Reply::redirect(302, "/there")
        } else {
            Reply::ok("public")
        }
    })
    .await;
    let forbidden = Server::at((PRIVATE, public.port()).into(), |_| Reply::ok("secret")).await;
    let resolver =
        ScriptedResolver::new(&[("rebind.example", &[&[PUBLIC], &[PUBLIC], &[PRIVATE]])]);
    let client = client(&resolver);
    let url = format!("http://rebind.example:{}", public.port());
    let answer = send(&client, Request::get(&format!("{url}/once")))
        .await
        .unwrap();
    assert_eq!(
        (&*answer.body, resolver.asked()),
        (&b"public"[..], 1),
        "one look, and the connection goes to what was seen"
    );
    assert_eq!(
        rule(&client, &format!("{url}/again")).await,
        "loopback",
        "a redirect resolves and checks again"
    );
    assert_eq!(
        (public.accepted(), forbidden.accepted(), resolver.asked()),
        (2, 0, 3)
    );
}

#[tokio::test]
async fn ports_and_schemes_of_other_services() {
    let resolver = ScriptedResolver::new(&[("good.example", &[&[PUBLIC]])]);
    let client = client(&resolver);
    for (url, expected) in [
        ("http://good.example:25/", "port"),
        ("http://good.example:6379/", "port"),
        ("file:///etc/passwd", "scheme"),
        ("gopher://good.example/", "scheme"),
        ("http://good.example\t/", "bad-url"),
        ("http://good.example\\@127.0.0.1/", "bad-url"),
    ] {
        assert_eq!(rule(&client, url).await, expected, "{url}");
    }
    let plain = Request {
        https_only: true,
        ..Request::get("http://good.example/")
    };
    assert_eq!(
        send(&client, plain).await.unwrap_err().to_string(),
        "good.example is refused by the network rule https-required"
    );
    assert_eq!(resolver.asked(), 0, "nothing of it is even looked up");
}

#[tokio::test]
async fn fields_and_methods_of_the_host_are_not_the_plugins() {
    let public = Server::start(PUBLIC, |_| Reply::ok("")).await;
    let resolver = ScriptedResolver::new(&[]);
    let client = client(&resolver);
    let url = format!("http://127.0.0.2:{}/", public.port());
    for name in [
        "host",
        "proxy-authorization",
        "connection",
        "content-length",
        "transfer-encoding",
        "upgrade",
        "te",
        "expect",
    ] {
        let headers =
            HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static("1"))]);
        let failed = send(
            &client,
            Request {
                headers,
                ..Request::get(&url)
            },
        )
        .await
        .unwrap_err();
        assert_eq!(
            (failed.code(), &*failed.to_string()),
            (
                "invalid-argument",
                &*format!("{name} is refused by the network rule header")
            )
        );
    }
    for method in [
        Method::CONNECT,
        Method::TRACE,
        Method::OPTIONS,
        Method::from_bytes(b"BREW").unwrap(),
    ] {
        assert_eq!(
            send(
                &client,
                Request {
                    method,
                    ..Request::get(&url)
                }
            )
            .await
            .unwrap_err(),
            Failed::Method
        );
    }
    let big = Request {
        method: Method::POST,
        body: Bytes::from(vec![0; 1_048_577]),
        ..Request::get(&url)
    };
    assert_eq!(
        send(&client, big).await.unwrap_err().to_string(),
        "request body beyond 1048576 bytes"
    );
    let long = HeaderMap::from_iter([(
        HeaderName::from_static("x-a"),
        HeaderValue::from_str(&"a".repeat(16_384)).unwrap(),
    )]);
    assert_eq!(
        send(
            &client,
            Request {
                headers: long,
                ..Request::get(&url)
            }
        )
        .await
        .unwrap_err()
        .code(),
        "too-large"
    );
    assert_eq!(public.accepted(), 0);
}

#[tokio::test]
async fn the_capability_decides_before_anything_is_looked_up() {
    let resolver = ScriptedResolver::new(&[("good.example", &[&[PUBLIC]])]);
    let client = client(&resolver);
    let account = Account::new("acme.test", None);
    for (reason, code) in [
        (Reason::Prompt, "consent-pending"),
        (Reason::OutsideDeclaration, "not-declared"),
        (Reason::Strict, "not-granted"),
        (Reason::GlobalDeny, "denied"),
    ] {
        let asked = client.send(
            &account,
            Request::get("https://good.example/x"),
            |to, method| {
                assert_eq!(
                    (to.to_string(), method.as_str()),
                    ("https://good.example".to_owned(), "GET")
                );
                Decision::because(reason)
            },
        );
        let failed = asked.await.unwrap_err();
        assert_eq!(failed.code(), code);
        assert_eq!(
            failed.to_string(),
            format!("http.fetch of https://good.example: {}", reason.text())
        );
    }
    assert_eq!(resolver.asked(), 0);
}

#[tokio::test]
async fn requests_beyond_the_rate_are_refused() {
    let public = Server::start(PUBLIC, |_| Reply::ok("")).await;
    let client = client(&ScriptedResolver::new(&[]));
    // So few come back each minute that a slow machine does not see one of them.
    let account = Account::new("acme.test", Some(3));
    let url = format!("http://127.0.0.2:{}/", public.port());
    let mut passed = 0;
    let failed = loop {
        match client.send(&account, Request::get(&url), anything).await {
            Ok(_) => passed += 1,
            Err(failed) => break failed,
        }
    };
    assert!((3..=4).contains(&passed), "{passed}");
    assert_eq!((failed.code(), public.accepted()), ("rate-limited", passed));
    let other = Account::new("acme.other", None);
    client
        .send(&other, Request::get(&url), anything)
        .await
        .expect("each plugin has an account of its own");
}

#[tokio::test]
async fn ten_requests_at_once_and_no_eleventh() {
    let public = Server::start(PUBLIC, |_| Reply::Silence(b"HTTP/1.1 200 OK\r\n".to_vec())).await;
    let client = client(&ScriptedResolver::new(&[]));
    let account = std::sync::Arc::new(Account::new("acme.test", None));
    let url = format!("http://127.0.0.2:{}/", public.port());
    let waiting: Vec<_> = (0..10)
        .map(|_| {
            let (client, account, url) =
                (client.clone(), std::sync::Arc::clone(&account), url.clone());
            tokio::spawn(async move { client.send(&account, Request::get(&url), anything).await })
        })
        .collect();
    while public.accepted() < 10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        client
            .send(&account, Request::get(&url), anything)
            .await
            .unwrap_err(),
        Failed::TooManyInFlight
    );
    for request in waiting {
        request.abort();
        assert!(request.await.unwrap_err().is_cancelled());
    }
    let once_more = tokio::time::timeout(
        std::time::Duration::from_millis(100),
        client.send(&account, Request::get(&url), anything),
    );
    assert!(
        once_more.await.is_err(),
        "whoever is given up gives its place back"
    );
}

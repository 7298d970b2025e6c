//! Responses that are too slow, too large or malformed.

use crate::support::{EMPTY, PUBLIC, Reply, ScriptedResolver, Server, client, hasty, send};
use http::Method;
use outbound::{Failed, Request};

async fn answered(reply: Reply) -> (Server, String) {
    let server = Server::start(PUBLIC, move |_| reply.clone()).await;
    let url = format!("http://127.0.0.2:{}/", server.port());
    (server, url)
}

fn plain() -> outbound::Client {
    client(&ScriptedResolver::new(&[]))
}

#[tokio::test]
async fn an_answer_is_passed_on_as_it_came() {
    let reply = "HTTP/1.1 418 Teapot\r\nset-cookie: a\r\nset-cookie: b\r\nkeep-alive: 5\r\ncontent-length: 3\r\ncontent-encoding: gzip\r\n\r\n\x1f\x01z";
    let (server, url) = answered(Reply::Bytes(reply.into())).await;
    let answer = send(&plain(), Request::get(&format!("{url}a/./b?q=1#f")))
        .await
        .unwrap();
    assert_eq!(
        (answer.status.as_u16(), &*answer.body, answer.redirects),
        (418, &b"\x1f\x01z"[..], 0),
        "nothing is unpacked"
    );
    assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 2);
    assert!(!answer.headers.contains_key("keep-alive"));
    let request = server.seen().remove(0);
    assert!(
        request.starts_with("GET /a/b?q=1 HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(
        request.contains(&format!("host: 127.0.0.2:{}\r\n", server.port()))
            && request.contains("connection: close\r\n"),
        "{request}"
    );
    assert!(
        !request.contains("accept-encoding"),
        "nobody asks for what is not unpacked: {request}"
    );
}

#[tokio::test]
async fn a_body_beyond_the_cap_is_cut_off() {
    let cap = "answer's body beyond 4194304 bytes";
    let announced = b"HTTP/1.1 200 OK\r\ncontent-length: 4194305\r\n\r\n".to_vec();
    let (_server, url) = answered(Reply::Silence(announced)).await;
    assert_eq!(
        send(&plain(), Request::get(&url))
            .await
            .unwrap_err()
            .to_string(),
        cap,
        "an announced one at once"
    );
    let unannounced = Reply::Endless(b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'a'; 65_536]);
    let (_server, url) = answered(unannounced).await;
    assert_eq!(
        send(&plain(), Request::get(&url))
            .await
            .unwrap_err()
            .to_string(),
        cap
    );
    let chunk = [&b"10000\r\n"[..], &[b'a'; 65_536], b"\r\n"].concat();
    let (_server, url) = answered(Reply::Endless(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec(),
        chunk,
    ))
    .await;
    assert_eq!(
        send(&plain(), Request::get(&url))
            .await
            .unwrap_err()
            .to_string(),
        cap
    );
    let whole = [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 4194304\r\n\r\n"[..],
        &vec![b'a'; 4_194_304],
    ]
    .concat();
    let (_server, url) = answered(Reply::Bytes(whole)).await;
    assert_eq!(
        send(&plain(), Request::get(&url)).await.unwrap().body.len(),
        4_194_304,
        "the cap itself passes"
    );
}

#[tokio::test]
async fn a_head_without_end_is_cut_off() {
    for (head, more) in [
        (
            "HTTP/1.1 200 OK\r\n",
            "x-a: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
        ),
        (
            "HTTP/1.1 200 OK\r\nx-a: ",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ),
        (
            "HTTP/1.1 200 ",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ),
    ] {
        let (_server, url) = answered(Reply::Endless(head.into(), more.into())).await;
        let failed = send(&plain(), Request::get(&url)).await.unwrap_err();
        assert_eq!(failed.code(), "too-large", "{head:?}: {failed}");
    }
}

#[tokio::test]
async fn who_never_finishes_is_left_when_the_time_is_over() {
    for silent in [
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
    ] {
        let (_server, url) = answered(Reply::Silence(silent.into())).await;
        let failed = send(&hasty(&ScriptedResolver::new(&[])), Request::get(&url))
            .await
            .unwrap_err();
        assert_eq!(failed, Failed::Timeout { limit_ms: 300 }, "{silent:?}");
        assert_eq!(failed.code(), "timeout");
    }
    // Informational answers without end are no answer.
    let (_server, url) = answered(Reply::Endless(
        Vec::new(),
        b"HTTP/1.1 103 Early Hints\r\n\r\n".to_vec(),
    ))
    .await;
    assert_eq!(
        send(&hasty(&ScriptedResolver::new(&[])), Request::get(&url))
            .await
            .unwrap_err()
            .code(),
        "timeout"
    );
}

#[tokio::test]
async fn what_is_no_http_or_ends_early_is_unavailable() {
    for broken in [
        "",
        "SSH-2.0-x\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\na",
    ] {
        let (_server, url) = answered(Reply::Bytes(broken.into())).await;
        assert_eq!(
            send(&plain(), Request::get(&url)).await.unwrap_err().code(),
            "unavailable",
            "{broken:?}"
        );
    }
    let (server, _) = answered(Reply::ok("")).await;
    let closed = format!("http://127.0.0.3:{}/", server.port());
    assert_eq!(
        send(&plain(), Request::get(&closed))
            .await
            .unwrap_err()
            .code(),
        "denied",
        "127.0.0.3 is not public here"
    );
    let unknown = send(&plain(), Request::get("http://unknown.example/"))
        .await
        .unwrap_err();
    assert_eq!(
        (unknown.code(), &*unknown.to_string()),
        (
            "unavailable",
            "unknown.example cannot be reached: no such name"
        )
    );
}

#[tokio::test]
async fn an_address_where_nobody_listens_gives_way_to_the_next() {
    let (server, _) = answered(Reply::ok("here")).await;
    let resolver = ScriptedResolver::new(&[
        ("two.example", &[&[EMPTY, PUBLIC]]),
        ("empty.example", &[&[EMPTY]]),
    ]);
    let client = client(&resolver);
    let answer = send(
        &client,
        Request::get(&format!("http://two.example:{}/", server.port())),
    )
    .await
    .unwrap();
    assert_eq!((&*answer.body, server.accepted()), (&b"here"[..], 1));
    let failed = send(
        &client,
        Request::get(&format!("http://empty.example:{}/", server.port())),
    )
    .await
    .unwrap_err();
    assert_eq!(failed.code(), "unavailable", "{failed}");
}

#[tokio::test]
async fn head_has_a_length_and_no_body() {
    let (_server, url) = answered(Reply::Bytes(
        b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n".to_vec(),
    ))
    .await;
    let answer = send(
        &plain(),
        Request {
            method: Method::HEAD,
            ..Request::get(&url)
        },
    )
    .await
    .unwrap();
    assert_eq!(
        (answer.body.len(), &answer.headers["content-length"]),
        (0, &http::HeaderValue::from_static("1000"))
    );
}

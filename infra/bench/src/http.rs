//! HTTP clients that keep their connections: one request at a time on each, the next one as soon as the answer is there.

use anyhow::{Context as _, Result, bail, ensure};
use mio::{Events, Interest, Poll, Token, net::TcpStream};
use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::SocketAddr,
    time::{Duration, Instant},
};

/// Time without any answer after which a run is given up.
const PATIENCE: Duration = Duration::from_secs(30);
/// No answer that is asked for here is longer.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// What is asked, again and again.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Asked<'a> {
    /// Method and path, such as `GET /path`.
    pub line: &'a str,
    /// Presented as a bearer token; empty: the request carries no token.
    pub token: &'a str,
    /// Further header lines, each with its line break.
    pub headers: &'a str,
    /// JSON; empty: the request has no body.
    pub body: &'a str,
    /// Requests at once, each on a connection of its own.
    pub connections: usize,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// Good answers, each of them a whole one.
    pub count: u64,
    /// Time from request to answer of each, nanoseconds.
    pub latencies_ns: Vec<u64>,
}

struct Conn {
    stream: TcpStream,
    request: usize,
    answer: Vec<u8>,
    asked: Instant,
}

/// Asks for `time`; how many good answers came.
pub(crate) fn load(address: SocketAddr, asked: Asked<'_>, time: Duration) -> Result<u64> {
    Ok(compete(address, &[asked], time)?.remove(0).count)
}

/// Asks several things at once for `time`, each over its own connections; what came of each.
pub(crate) fn compete(
    address: SocketAddr,
    all: &[Asked<'_>],
    time: Duration,
) -> Result<Vec<Answers>> {
    let requests: Vec<String> = all.iter().map(|asked| head(address, asked)).collect();
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(64);
    let mut conns = Vec::new();
    for (request, asked) in all.iter().enumerate() {
        for _ in 0..asked.connections {
            let stream = std::net::TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry()
                .register(&mut stream, Token(conns.len()), Interest::READABLE)?;
            conns.push(Conn {
                stream,
                request,
                answer: Vec::new(),
                asked: Instant::now(),
            });
        }
    }
    for conn in &mut conns {
        conn.asked = Instant::now();
        conn.stream.write_all(requests[conn.request].as_bytes())?;
    }
    let mut seen: Vec<Answers> = all.iter().map(|_| Answers::default()).collect();
    let (begin, mut last) = (Instant::now(), Instant::now());
    let mut waiting = conns.len();
    let mut buffer = vec![0; 64 * 1024];
    while waiting > 0 {
        match poll.poll(&mut events, Some(Duration::ZERO)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        for event in &events {
            let conn = &mut conns[event.token().0];
            let (line, seen) = (all[conn.request].line, &mut seen[conn.request]);
            loop {
                match conn.stream.read(&mut buffer) {
                    Ok(0) => bail!(
                        "the server ended a connection after {} answers to {line}",
                        seen.count
                    ),
                    Ok(count) => conn.answer.extend_from_slice(&buffer[..count]),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error.into()),
                }
            }
            if is_whole(&conn.answer)? {
                let answer = std::mem::take(&mut conn.answer);
                ensure!(
                    answer.starts_with(b"HTTP/1.1 20") || answer.starts_with(b"HTTP/1.1 304"),
                    "{line}: {}",
                    String::from_utf8_lossy(&answer[..answer.len().min(300)])
                );
                seen.count += 1;
                seen.latencies_ns
                    .push(conn.asked.elapsed().as_nanos() as u64);
                last = Instant::now();
                if begin.elapsed() < time {
                    conn.asked = last;
                    conn.stream.write_all(requests[conn.request].as_bytes())?;
                } else {
                    waiting -= 1;
                }
            }
        }
        ensure!(
            last.elapsed() < PATIENCE,
            "no answer to {} any more",
            all.iter()
                .map(|asked| asked.line)
                .collect::<Vec<_>>()
                .join(", ")
        );
    }
    Ok(seen)
}

fn head(address: SocketAddr, asked: &Asked<'_>) -> String {
    let Asked {
        line,
        token,
        headers,
        body,
        ..
    } = asked;
    let bearer = if token.is_empty() {
        String::new()
    } else {
        format!("authorization: Bearer {token}\r\n")
    };
    let content = if body.is_empty() {
        String::new()
    } else {
        format!(
            "content-type: application/json\r\ncontent-length: {}\r\n",
            body.len()
        )
    };
    format!(
        "{line} HTTP/1.1\r\nhost: {address}\r\naccept: application/json\r\n{bearer}{headers}{content}\r\n{body}"
    )
}

/// Whether `answer` is a whole answer: with its length told, or in chunks.
fn is_whole(answer: &[u8]) -> Result<bool> {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
        ensure!(answer.len() < ANSWER_BYTES_MAX, "an answer without end");
        return Ok(false);
    };
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let body = &answer[end + 4..];
    let header = |name: &str| {
        head.lines()
            .find_map(|line| line.strip_prefix(name))
            .map(str::trim)
    };
    if header("transfer-encoding:").is_some_and(|coding| coding == "chunked") {
        return Ok(body.ends_with(b"0\r\n\r\n"));
    }
    if head.starts_with("http/1.1 204") || head.starts_with("http/1.1 304") {
        return Ok(true);
    }
    let length: usize = header("content-length:")
        .and_then(|length| length.parse().ok())
        .context("an answer without a length")?;
    Ok(body.len() >= length)
}

#[cfg(test)]
mod tests {
    use super::is_whole;

    #[test]
    fn answers_are_whole_when_their_last_byte_is_there() {
        let told = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
        for whole in [&told[..], chunked] {
            assert!(is_whole(whole).expect("an answer"));
            assert!(
                (0..whole.len())
                    .all(|short| !is_whole(&whole[..short]).expect("a part of an answer"))
            );
        }
        assert!(is_whole(b"HTTP/1.1 204 No Content\r\n\r\n").expect("an answer without a body"));
        assert!(is_whole(b"HTTP/1.1 304 Not Modified\r\n\r\n").expect("an answer without a body"));
        assert!(is_whole(b"HTTP/1.1 200 OK\r\n\r\n").is_err(), "no length");
    }
}

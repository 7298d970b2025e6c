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

/// Sends `request`, such as `GET /path`, over `connections` connections for `time`; how many good answers came, each of them a whole one.
pub(crate) fn load(address: SocketAddr, request: &str, connections: usize, time: Duration) -> Result<u64> {
    let line = request;
    let request = format!("{line} HTTP/1.1\r\nhost: {address}\r\naccept: application/json\r\n\r\n");
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(connections);
    let mut conns = Vec::new();
    for at in 0..connections {
        let stream = std::net::TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        poll.registry().register(&mut stream, Token(at), Interest::READABLE)?;
        conns.push((stream, Vec::new()));
    }
    for (stream, _) in &mut conns {
        stream.write_all(request.as_bytes())?;
    }
    let (begin, mut last) = (Instant::now(), Instant::now());
    let (mut answers, mut waiting) = (0, connections);
    let mut buffer = vec![0; 64 * 1024];
    while waiting > 0 {
        match poll.poll(&mut events, Some(Duration::ZERO)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        for event in &events {
            let (stream, answer) = &mut conns[event.token().0];
            loop {
                match stream.read(&mut buffer) {
                    Ok(0) => bail!("the server ended a connection after {answers} answers"),
                    Ok(count) => answer.extend_from_slice(&buffer[..count]),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error.into()),
                }
            }
            if is_whole(answer)? {
                ensure!(answer.starts_with(b"HTTP/1.1 20"), "{line}: {}", String::from_utf8_lossy(&answer[..answer.len().min(300)]));
                answer.clear();
                (answers, last) = (answers + 1, Instant::now());
                if begin.elapsed() < time {
                    stream.write_all(request.as_bytes())?;
                } else {
                    waiting -= 1;
                }
            }
        }
        ensure!(last.elapsed() < PATIENCE, "no answer to {line} any more, after {answers}");
    }
    Ok(answers)
}

/// Whether `answer` is a whole answer: with its length told, or in chunks.
fn is_whole(answer: &[u8]) -> Result<bool> {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
        ensure!(answer.len() < ANSWER_BYTES_MAX, "an answer without end");
        return Ok(false);
    };
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let body = &answer[end + 4..];
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    if header("transfer-encoding:").is_some_and(|coding| coding == "chunked") {
        return Ok(body.ends_with(b"0\r\n\r\n"));
    }
    if head.starts_with("http/1.1 204") {
        return Ok(true);
    }
    let length: usize = header("content-length:").and_then(|length| length.parse().ok()).context("an answer without a length")?;
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
            assert!((0..whole.len()).all(|short| !is_whole(&whole[..short]).expect("a part of an answer")));
        }
        assert!(is_whole(b"HTTP/1.1 204 No Content\r\n\r\n").expect("an answer without a body"));
        assert!(is_whole(b"HTTP/1.1 200 OK\r\n\r\n").is_err(), "no length");
    }
}

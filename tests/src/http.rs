//! An HTTP/1.1 client that sends exactly the given bytes: no redirects, no normalised paths, no
//! additional headers.

use crate::PATIENCE;
use serde_json::Value;
use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
};

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET` and so on.
    pub method: String,
    /// Path and query, sent unchanged.
    pub path: String,
    /// Headers besides `host`, `connection` and `content-length`.
    pub headers: Vec<(String, String)>,
    /// Body; `None` sends no `content-length` either.
    pub body: Option<Vec<u8>>,
}

impl Request {
    /// A request without body.
    #[must_use]
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.into(),
            path: path.into(),
            headers: Vec::new(),
            body: None,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds `authorization: Bearer …`.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Sets a JSON body with its content type.
    #[must_use]
    pub fn json(mut self, body: &Value) -> Self {
        self.body = Some(body.to_string().into_bytes());
        self.header("content-type", "application/json")
    }

    /// Sends it to `address` (`host:port`) and reads the whole answer.
    ///
    /// # Errors
    /// The connection fails, ends early, or does not carry HTTP/1.1.
    pub fn send(&self, address: &str) -> io::Result<Response> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut head = format!(
            "{} {} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n",
            self.method, self.path
        );
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = &self.body {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes())?;
        // A server that refuses a large body may answer and close before reading all of it.
        let sent = self
            .body
            .as_ref()
            .map_or(Ok(()), |body| stream.write_all(body));
        let mut bytes = Vec::new();
        let read = stream.read_to_end(&mut bytes);
        if bytes.is_empty() {
            sent?;
            read?;
        }
        Response::parse(&bytes, self.method == "HEAD")
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body, with any transfer coding taken off.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header named `name` (lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not JSON; the message shows it.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in the answer {} {}", self.status, self.text()))
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Requires a status.
    ///
    /// # Panics
    /// When it is another; the message shows the answer.
    #[must_use]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "answer: {}", self.text());
        self
    }

    fn parse(bytes: &[u8], head_only: bool) -> io::Result<Self> {
        let mut headers = [httparse::EMPTY_HEADER; 128];
        let mut head = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(length) = head.parse(bytes).map_err(io::Error::other)?
        else {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the connection ended within the head",
            ));
        };
        let named = |header: &httparse::Header<'_>| {
            (
                header.name.to_ascii_lowercase(),
                String::from_utf8_lossy(header.value).into_owned(),
            )
        };
        let headers: Vec<(String, String)> = head.headers.iter().map(named).collect();
        let mut response = Self {
            status: head.code.unwrap_or_default(),
            headers,
            body: Vec::new(),
        };
        if !head_only {
            let rest = &bytes[length..];
            response.body = match (
                response.header("transfer-encoding"),
                response.header("content-length"),
            ) {
                (Some(_), _) => dechunk(rest)?,
                (None, Some(length)) => {
                    let length: usize = length.parse().map_err(io::Error::other)?;
                    rest.get(..length)
                        .ok_or_else(|| {
                            io::Error::new(io::ErrorKind::UnexpectedEof, "the body is cut")
                        })?
                        .to_vec()
                }
                (None, None) => rest.to_vec(),
            };
        }
        Ok(response)
    }
}

fn dechunk(mut rest: &[u8]) -> io::Result<Vec<u8>> {
    let cut = || io::Error::new(io::ErrorKind::UnexpectedEof, "a chunk is cut");
    let mut body = Vec::new();
    loop {
        let httparse::Status::Complete((start, size)) =
            httparse::parse_chunk_size(rest).map_err(|_| cut())?
        else {
            return Err(cut());
        };
        let size = usize::try_from(size).map_err(io::Error::other)?;
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(rest.get(start..start + size).ok_or_else(cut)?);
        rest = rest.get(start + size + 2..).ok_or_else(cut)?;
    }
}

//! A socket that sends arbitrary bytes, which well-behaved client libraries cannot do.

use crate::{PATIENCE, host::Host};
use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

/// A connection after the WebSocket handshake.
pub struct Raw {
    stream: TcpStream,
}

/// A received frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// 1 text, 2 binary, 8 close, 9 ping, 10 pong.
    pub opcode: u8,
    /// Payload.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Code and reason of a close frame.
    #[must_use]
    pub fn close(&self) -> Option<(u16, String)> {
        let (code, reason) = (self.opcode == 8)
            .then_some(self.payload.as_slice())?
            .split_at_checked(2)?;
        Some((
            u16::from_be_bytes(code.try_into().ok()?),
            String::from_utf8_lossy(reason).into_owned(),
        ))
    }
}

impl Raw {
    /// Connects and completes the WebSocket handshake.
    ///
    /// # Panics
    /// When the host refuses.
    #[must_use]
    pub fn connect(host: &Host) -> Self {
        let (raw, head) = Self::shake(host, "");
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        assert!(
            head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            "the accept value of RFC 6455: {head}"
        );
        raw
    }

    /// Sends a handshake with additional `headers` (each with its line end), and reads the head of
    /// the answer.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    pub fn shake(host: &Host, headers: &str) -> (Self, String) {
        let mut raw = Self::dial(host);
        raw.write(
            format!(
                "GET /ws HTTP/1.1\r\nhost: {}\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                 sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n",
                host.address()
            )
            .as_bytes(),
        );
        let head = raw.head().expect("an answer to the handshake");
        (raw, head)
    }

    /// Connects and sends nothing.
    ///
    /// # Panics
    /// When the host does not listen.
    #[must_use]
    pub fn dial(host: &Host) -> Self {
        let stream = TcpStream::connect(host.address()).expect("the host listens");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a socket takes a timeout");
        stream.set_nodelay(true).expect("a socket takes a flag");
        Self { stream }
    }

    /// A second handle of the same connection, to write in one thread and read in another.
    ///
    /// # Panics
    /// When the system has no more handles.
    #[must_use]
    pub fn twin(&self) -> Self {
        Self {
            stream: self.stream.try_clone().expect("a second handle"),
        }
    }

    /// Writes bytes and ignores a peer that has closed; reading reports it.
    pub fn write(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Writes bytes like [`Raw::write`], and reports errors.
    ///
    /// # Errors
    /// The connection is over, or the write timeout has passed.
    pub fn try_write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Writes a frame with the mask of a client.
    pub fn frame(&mut self, first_byte: u8, payload: &[u8]) {
        self.write(&masked(first_byte, payload));
    }

    /// Writes a whole text message.
    pub fn text(&mut self, text: &str) {
        self.frame(0x81, text.as_bytes());
    }

    /// Reads to the end of an HTTP head.
    ///
    /// # Errors
    /// The connection ends first.
    pub fn head(&mut self) -> io::Result<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.exactly::<1>()?[0]);
        }
        Ok(String::from_utf8_lossy(&head).into_owned())
    }

    /// Everything up to the end of the stream.
    ///
    /// # Errors
    /// It is cut by a reset.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest)?;
        Ok(rest)
    }

    /// The next frame; `None` when the connection is over.
    ///
    /// # Panics
    /// When nothing comes, or a frame of the server is masked or fragmented.
    pub fn next_frame(&mut self) -> Option<Frame> {
        self.read_frame()
            .unwrap_or_else(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::BrokenPipe => None,
                _ => panic!("nothing came: {error}"),
            })
    }

    /// Whether the connection ends cleanly: remaining whole frames are dropped, then the stream
    /// must end. False after a reset or within a frame.
    ///
    /// # Panics
    /// When it does not end.
    pub fn ends_cleanly(&mut self) -> bool {
        let mut byte = [0];
        loop {
            match self.stream.peek(&mut byte) {
                Ok(0) => return true,
                Ok(_) if self.read_frame().is_ok() => {}
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) =>
                {
                    panic!("it does not end")
                }
                Ok(_) | Err(_) => return false,
            }
        }
    }

    /// Whether nothing arrives and the connection stays open for the given time.
    #[must_use]
    pub fn is_quiet(&self, patience: Duration) -> bool {
        self.set_patience(patience);
        let peeked = self.stream.peek(&mut [0]);
        self.set_patience(PATIENCE);
        peeked.is_err_and(|error| {
            matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
            )
        })
    }

    /// Ends the sending side.
    pub fn finish(&self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }

    /// Skips frames up to the close frame and returns its code; 1006 when the connection just ends.
    pub fn closed(&mut self) -> u16 {
        while let Some(frame) = self.next_frame() {
            if let Some((code, _)) = frame.close() {
                return code;
            }
        }
        1006
    }

    /// Limits how long reads wait.
    ///
    /// # Panics
    /// Never for a positive duration.
    pub fn set_patience(&self, patience: Duration) {
        self.stream
            .set_read_timeout(Some(patience))
            .expect("a positive duration");
    }

    fn read_frame(&mut self) -> io::Result<Option<Frame>> {
        let [first, second] = self.exactly()?;
        assert_eq!(first & 0xf0, 0x80, "a whole frame without extensions");
        let length = match second {
            0..126 => usize::from(second),
            126 => usize::from(u16::from_be_bytes(self.exactly()?)),
            127 => {
                usize::try_from(u64::from_be_bytes(self.exactly()?)).map_err(io::Error::other)?
            }
            _ => panic!("a server must not mask"),
        };
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload)?;
        Ok(Some(Frame {
            opcode: first & 0x0f,
            payload,
        }))
    }

    fn exactly<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

/// A frame with the mask of a client.
#[must_use]
pub fn masked(first_byte: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first_byte];
    match payload.len() {
        length @ 0..126 => bytes.push(0x80 | length as u8),
        length @ 126..65_536 => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 127);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    bytes.extend_from_slice(&mask);
    bytes.extend(
        payload
            .iter()
            .enumerate()
            .map(|(at, byte)| byte ^ mask[at % 4]),
    );
    bytes
}

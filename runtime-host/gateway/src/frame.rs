//! RFC 6455 framing: reads a client's frames, writes the server's.
//!
//! A frame that breaks the RFC or a limit is refused as soon as its header is read, so none of its payload is
//! collected.

use bytes::{BufMut, Bytes, BytesMut};

/// The close codes of this server. The last sentence of each says what a client does then; docs/reference/errors.md is
/// generated from them.
pub mod close {
    /// The client ended the connection. Stop.
    pub const NORMAL: u16 = 1000;
    /// The server shuts down. Retry after the milliseconds that the reason names as `reconnectAfterMs`.
    pub const GOING_AWAY: u16 = 1001;
    /// The client's frames break RFC 6455. Stop: the same program would do it again.
    pub const PROTOCOL: u16 = 1002;
    /// A binary message: envelopes are text. Stop: the same program would do it again.
    pub const UNSUPPORTED: u16 = 1003;
    /// A text message that is not UTF-8. Stop: the same program would do it again.
    pub const INVALID_UTF8: u16 = 1007;
    /// Identity is required here and `identify` did not come in time. Stop until there is a token or a key.
    pub const POLICY: u16 = 1008;
    /// A message above the limit, in too many fragments, or that took too long to arrive. Retry, without that message.
    pub const TOO_BIG: u16 = 1009;
    /// The server was so far behind that something for this connection was lost. Retry after a random time of up to ten
    /// seconds.
    pub const TRY_LATER: u16 = 1013;
    /// Over the rates again and again. Retry after ten seconds or more, and slower.
    pub const RATE: u16 = 4008;
    /// The client read too slowly: more waited for it than the server keeps. Retry: joining again brings the present
    /// state.
    pub const SLOW: u16 = 4013;
}

/// A breach of the RFC or of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Violation {
    /// Code to close with.
    pub code: u16,
    /// The text of the close frame.
    pub reason: &'static str,
}

const fn violation(code: u16, reason: &'static str) -> Violation {
    Violation { code, reason }
}

/// The kind of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    /// Continues the message of the data frame before it.
    Continuation,
    /// UTF-8 text.
    Text,
    /// Bytes.
    Binary,
    /// End of the connection.
    Close,
    /// Asks for a pong.
    Ping,
    /// Answers a ping.
    Pong,
}

impl Opcode {
    /// Whether the frame is about the connection and not part of a message.
    #[must_use]
    pub fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// The header of a client's frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Last frame of its message.
    pub fin: bool,
    /// Its kind.
    pub opcode: Opcode,
    /// Masking key.
    pub mask: [u8; 4],
    /// Bytes of the header itself.
    pub header_bytes: usize,
    /// Bytes that follow.
    pub payload_bytes: usize,
}

impl Header {
    /// Reads a header at the start of `bytes`; `None` when more bytes are needed.
    ///
    /// # Errors
    /// The frame breaks RFC 6455 section 5 (1002), or is longer than `payload_bytes_max` (1009).
    pub fn read(bytes: &[u8], payload_bytes_max: usize) -> Result<Option<Self>, Violation> {
        let [first, second, rest @ ..] = bytes else {
            return Ok(None);
        };
        if first & 0x70 != 0 {
            return Err(violation(
                close::PROTOCOL,
                "a reserved bit is set and no extension was agreed",
            ));
        }
        let opcode = match first & 0x0f {
            0 => Opcode::Continuation,
            1 => Opcode::Text,
            2 => Opcode::Binary,
            8 => Opcode::Close,
            9 => Opcode::Ping,
            10 => Opcode::Pong,
            _ => return Err(violation(close::PROTOCOL, "reserved opcode")),
        };
        let fin = first & 0x80 != 0;
        if second & 0x80 == 0 {
            return Err(violation(
                close::PROTOCOL,
                "a client's frame must be masked",
            ));
        }
        if opcode.is_control() {
            if !fin {
                return Err(violation(
                    close::PROTOCOL,
                    "control frames must not be fragmented",
                ));
            }
            if second & 0x7f > 125 {
                return Err(violation(
                    close::PROTOCOL,
                    "control frames carry at most 125 bytes",
                ));
            }
        }
        let Some((length, length_bytes)) = read_length(second & 0x7f, rest)? else {
            return Ok(None);
        };
        if length > payload_bytes_max as u64 {
            return Err(violation(close::TOO_BIG, "message over the limit"));
        }
        let Some(mask) = rest[length_bytes..].first_chunk::<4>() else {
            return Ok(None);
        };
        Ok(Some(Self {
            fin,
            opcode,
            mask: *mask,
            header_bytes: 2 + length_bytes + 4,
            payload_bytes: length as usize,
        }))
    }
}

/// Reads the length of a payload, whose first 7 bits are `short`, and the number of further bytes that it takes; `None`
/// when more bytes are needed.
fn read_length(short: u8, rest: &[u8]) -> Result<Option<(u64, usize)>, Violation> {
    const NOT_SHORTEST: Violation = violation(
        close::PROTOCOL,
        "payload length is not in its shortest form",
    );
    match short {
        126 => match rest.first_chunk::<2>().copied().map(u16::from_be_bytes) {
            None => Ok(None),
            Some(length) if length < 126 => Err(NOT_SHORTEST),
            Some(length) => Ok(Some((u64::from(length), 2))),
        },
        127 => match rest.first_chunk::<8>().copied().map(u64::from_be_bytes) {
            None => Ok(None),
            Some(length) if length >> 63 != 0 => Err(violation(
                close::PROTOCOL,
                "the highest bit of a payload length must be 0",
            )),
            Some(length) if length < 65_536 => Err(NOT_SHORTEST),
            Some(length) => Ok(Some((length, 8))),
        },
        short => Ok(Some((u64::from(short), 0))),
    }
}

/// Unmasks `payload` in place (RFC 6455 section 5.3).
pub fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let wide = u64::from_ne_bytes([
        mask[0], mask[1], mask[2], mask[3], mask[0], mask[1], mask[2], mask[3],
    ]);
    let (words, tail) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

/// A ping without payload.
pub const PING: [u8; 2] = [0x89, 0];

/// A whole unfragmented frame as the server sends it: one allocation, shared by all receivers.
#[must_use]
pub fn encode(opcode: Opcode, payload: &[u8]) -> Bytes {
    assemble(opcode, &[payload])
}

/// A text frame.
#[must_use]
pub fn text(json: &[u8]) -> Bytes {
    assemble(Opcode::Text, &[json])
}

/// A text frame of several pieces.
#[must_use]
pub fn text_of_pieces(pieces: &[&[u8]]) -> Bytes {
    assemble(Opcode::Text, pieces)
}

fn assemble(opcode: Opcode, pieces: &[&[u8]]) -> Bytes {
    let length = pieces.iter().map(|piece| piece.len()).sum();
    let mut frame = BytesMut::with_capacity(length + 10);
    frame.put_u8(
        0x80 | match opcode {
            Opcode::Continuation => 0,
            Opcode::Text => 1,
            Opcode::Binary => 2,
            Opcode::Close => 8,
            Opcode::Ping => 9,
            Opcode::Pong => 10,
        },
    );
    match length {
        0..=125 => frame.put_u8(length as u8),
        126..=65_535 => {
            frame.put_u8(126);
            frame.put_u16(length as u16);
        }
        _ => {
            frame.put_u8(127);
            frame.put_u64(length as u64);
        }
    }
    pieces.iter().for_each(|piece| frame.put_slice(piece));
    frame.freeze()
}

/// The payload of a frame of [`text`], sharing its memory.
#[must_use]
pub fn payload(frame: &Bytes) -> Bytes {
    let header_bytes = match frame.get(1) {
        Some(126) => 4,
        Some(127) => 10,
        _ => 2,
    };
    frame.slice(header_bytes.min(frame.len())..)
}

/// A close frame; the reason is cut to what a control frame holds, at a character's boundary.
#[must_use]
pub fn closing(code: u16, reason: &str) -> Bytes {
    let mut end = reason.len().min(123);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(&reason.as_bytes()[..end]);
    encode(Opcode::Close, &payload)
}

/// The code to answer a peer's close frame with (RFC 6455 sections 5.5.1 and 7.4).
///
/// # Errors
/// A body of one byte, a code that may not be sent, or a reason that is not UTF-8.
pub fn close_answer(payload: &[u8]) -> Result<u16, Violation> {
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        return if payload.is_empty() {
            Ok(close::NORMAL)
        } else {
            Err(violation(close::PROTOCOL, "close frame with half a code"))
        };
    };
    let code = u16::from_be_bytes(*code);
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(violation(close::PROTOCOL, "close code may not be sent"));
    }
    match std::str::from_utf8(reason) {
        Ok(_) => Ok(code),
        Err(_) => Err(violation(close::INVALID_UTF8, "close reason is not UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Header, Opcode, close, close_answer, closing, encode, payload, unmask};

    #[test]
    fn headers_need_all_their_bytes() {
        let frame = [0x81, 0xfe, 0x01, 0x00, 1, 2, 3, 4];
        for cut in 0..frame.len() {
            assert_eq!(
                Header::read(&frame[..cut], 1 << 20),
                Ok(None),
                "{cut} bytes"
            );
        }
        let header = Header::read(&frame, 1 << 20)
            .expect("legal")
            .expect("whole");
        assert_eq!(
            (
                header.header_bytes,
                header.payload_bytes,
                header.fin,
                header.opcode
            ),
            (8, 256, true, Opcode::Text)
        );
    }

    #[test]
    fn a_frame_that_breaks_the_rfc_is_refused_by_its_header() {
        let cases: [(&[u8], u16); 9] = [
            (&[0xc1, 0x80], close::PROTOCOL),
            (&[0x83, 0x80], close::PROTOCOL),
            (&[0x81, 0x01], close::PROTOCOL),
            (&[0x09, 0x80], close::PROTOCOL),
            (&[0x89, 0xfe], close::PROTOCOL),
            (&[0x81, 0xfe, 0, 125], close::PROTOCOL),
            (&[0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff], close::PROTOCOL),
            (&[0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0], close::PROTOCOL),
            (
                &[0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
                close::TOO_BIG,
            ),
        ];
        for (bytes, code) in cases {
            assert_eq!(
                Header::read(bytes, 1 << 20).map_err(|violation| violation.code),
                Err(code),
                "{bytes:02x?}"
            );
        }
    }

    #[test]
    fn unmasking_is_the_cycle_of_the_key() {
        let plain: Vec<u8> = (0..=40).collect();
        let mask = [7, 200, 3, 99];
        for length in 0..plain.len() {
            let mut masked: Vec<u8> = plain[..length]
                .iter()
                .zip(mask.iter().cycle())
                .map(|(byte, key)| byte ^ key)
                .collect();
            unmask(&mut masked, mask);
            assert_eq!(masked, plain[..length]);
        }
    }

    #[test]
    fn lengths_are_written_in_their_shortest_form() {
        for (length, header) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let frame = encode(Opcode::Text, &vec![7; length]);
            assert_eq!(
                (frame.len(), payload(&frame).as_ref()),
                (header + length, &*vec![7; length])
            );
        }
    }

    #[test]
    fn close_frames_are_checked_and_answered() {
        assert_eq!(close_answer(b""), Ok(1000));
        assert_eq!(close_answer(&[0x03, 0xe8, b'x']), Ok(1000));
        for bad in [
            &[0x03][..],
            &[0x03, 0xed],
            &[0x03, 0xee],
            &[0x13, 0x88 - 1, 0xff],
            &[0, 0],
        ] {
            assert!(close_answer(bad).is_err(), "{bad:02x?}");
        }
        let long = closing(4013, &"ä".repeat(200));
        assert!(long.len() <= 127 && std::str::from_utf8(&long[4..]).is_ok());
    }
}

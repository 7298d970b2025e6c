//! Frames of RFC 6455 as far as a load needs them: whole, unfragmented, without extensions.

/// First byte of a whole text frame.
pub(crate) const TEXT: u8 = 0x81;
/// First byte of a close frame.
pub(crate) const CLOSE: u8 = 0x88;
/// First byte of a ping.
pub(crate) const PING: u8 = 0x89;
/// First byte of a pong.
pub(crate) const PONG: u8 = 0x8a;

/// The mask of every frame of this client. RFC 6455 wants an unpredictable one, because browsers sit behind proxies; a load does not, and
/// the server's work is the same.
pub(crate) const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Appends a frame as a client writes it.
pub(crate) fn put_masked(into: &mut Vec<u8>, first: u8, payload: &[u8]) {
    put_head(into, first, payload.len(), 0x80);
    into.extend_from_slice(&MASK);
    into.extend(
        payload
            .iter()
            .zip(MASK.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
}

/// Appends a frame as a server writes it.
pub(crate) fn put(into: &mut Vec<u8>, first: u8, payload: &[u8]) {
    put_head(into, first, payload.len(), 0);
    into.extend_from_slice(payload);
}

fn put_head(into: &mut Vec<u8>, first: u8, length: usize, masked: u8) {
    into.push(first);
    match length {
        0..126 => into.push(masked | length as u8),
        126..65_536 => {
            into.push(masked | 126);
            into.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            into.push(masked | 127);
            into.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

/// A frame's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// The first byte: FIN, reserved bits, opcode.
    pub first: u8,
    /// Bytes of the head, the mask included.
    pub bytes: usize,
    /// Bytes of the payload.
    pub payload: usize,
    /// The mask, if there is one.
    pub mask: Option<[u8; 4]>,
}

impl Head {
    /// Reads a head at the start of `bytes`; `None` when it is not whole yet.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (&first, &second) = (bytes.first()?, bytes.get(1)?);
        let (payload, at) = match second & 0x7f {
            126 => (
                usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)),
                4,
            ),
            127 => (
                u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize,
                10,
            ),
            length => (usize::from(length), 2),
        };
        if second & 0x80 == 0 {
            return Some(Self {
                first,
                bytes: at,
                payload,
                mask: None,
            });
        }
        Some(Self {
            first,
            bytes: at + 4,
            payload,
            mask: Some(bytes.get(at..at + 4)?.try_into().ok()?),
        })
    }
}

/// Undoes a mask in place.
pub(crate) fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let wide = u64::from_ne_bytes([mask, mask].concat().try_into().expect("twice four bytes"));
    let (chunks, rest) = payload.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask) {
        *byte ^= mask;
    }
    // What is left after eights can be longer than the mask.
    for (byte, mask) in rest.iter_mut().skip(4).zip(mask) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use super::{Head, MASK, TEXT, put, put_masked, unmask};

    #[test]
    fn what_a_client_writes_is_read_back() {
        for length in [0, 1, 7, 8, 13, 125, 126, 200, 65_535, 65_536, 70_001] {
            let payload: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let mut bytes = Vec::new();
            put_masked(&mut bytes, TEXT, &payload);
            let head = Head::read(&bytes).expect("a whole head");
            assert_eq!(
                (head.first, head.payload, head.mask),
                (TEXT, length, Some(MASK))
            );
            assert_eq!(bytes.len(), head.bytes + head.payload);
            unmask(&mut bytes[head.bytes..], MASK);
            assert_eq!(bytes[head.bytes..], payload, "{length} bytes");
            assert!(
                (0..head.bytes).all(|short| Head::read(&bytes[..short]).is_none()),
                "a head of {length} is not read before it is whole"
            );
        }
    }

    #[test]
    fn what_a_server_writes_has_no_mask() {
        let mut bytes = Vec::new();
        put(&mut bytes, TEXT, b"hello");
        assert_eq!(bytes, b"\x81\x05hello");
        assert_eq!(
            Head::read(&bytes),
            Some(Head {
                first: TEXT,
                bytes: 2,
                payload: 5,
                mask: None
            })
        );
    }
}

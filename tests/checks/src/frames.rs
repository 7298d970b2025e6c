//! A client's bytes as frames: however they are split, they give the same messages and the same
//! violation.

use gateway::{
    assembly::{Arriving, Assembly, NOT_UTF8, misplaced},
    frame::{Header, Opcode, Violation, close_answer, unmask},
};
use limits::socket::FRAGMENTS_MAX;

/// Small, so that inputs of a few kilobytes exceed it.
const MESSAGE_BYTES_MAX: usize = 1_000;

/// What a connection would receive.
#[derive(Debug, PartialEq, Eq)]
enum Event {
    Message(Vec<u8>),
    Control(Opcode, Vec<u8>),
    Closed(Result<u16, Violation>),
    Violated(Violation),
}

/// Fails if the result depends on how the bytes were split, or if a message is not what the frames
/// carry. The first byte selects the split.
pub fn check(bytes: &[u8]) {
    let [seed, bytes @ ..] = bytes else { return };
    let at_once = read(bytes, usize::MAX);
    assert_eq!(read(bytes, 1), at_once, "byte by byte");
    let piece = 1 + usize::from(*seed);
    assert_eq!(read(bytes, piece), at_once, "pieces of {piece}");
    assert_eq!(
        plainly(bytes),
        at_once,
        "against a reader that waits for whole messages"
    );
}

/// Reads like the gateway, with partial input.
fn read(bytes: &[u8], piece: usize) -> Vec<Event> {
    let (mut events, mut unread, mut assembly) = (Vec::new(), Vec::new(), None::<Assembly>);
    for piece in bytes.chunks(piece.min(bytes.len().max(1))) {
        unread.extend_from_slice(piece);
        loop {
            match step(&mut unread, &mut assembly, &mut events) {
                Some(0) | None => break,
                Some(taken) => drop(unread.drain(..taken)),
            }
            if matches!(events.last(), Some(Event::Closed(_) | Event::Violated(_))) {
                return events;
            }
        }
    }
    events
}

/// One frame or a part of it; returns the number of bytes used, `None` if more are needed.
fn step(
    bytes: &mut [u8],
    assembly: &mut Option<Assembly>,
    events: &mut Vec<Event>,
) -> Option<usize> {
    if assembly
        .as_ref()
        .is_some_and(|assembly| assembly.arriving.is_some())
    {
        return Some(payload(bytes, assembly, events));
    }
    let collected = assembly.as_ref().map_or(0, |assembly| assembly.bytes.len());
    let header = match Header::read(bytes, MESSAGE_BYTES_MAX - collected) {
        Ok(header) => header?,
        Err(violation) => {
            events.push(Event::Violated(violation));
            return Some(bytes.len());
        }
    };
    if header.opcode.is_control() {
        let whole = header.header_bytes + header.payload_bytes;
        let payload = bytes.get_mut(header.header_bytes..whole)?;
        unmask(payload, header.mask);
        events.push(control(header.opcode, payload));
        return Some(whole);
    }
    if let Some(violation) = misplaced(header.opcode, assembly.as_ref()) {
        events.push(Event::Violated(violation));
        return Some(bytes.len());
    }
    let begun = assembly.get_or_insert_default();
    begun.fragments += 1;
    assert!(begun.fragments <= FRAGMENTS_MAX, "fragments are bounded");
    begun.arriving = Some(Arriving {
        fin: header.fin,
        mask: header.mask,
        missing: header.payload_bytes,
    });
    Some(header.header_bytes + payload(&mut bytes[header.header_bytes..], assembly, events))
}

fn payload(bytes: &mut [u8], assembly: &mut Option<Assembly>, events: &mut Vec<Event>) -> usize {
    let Some(arriving) = assembly else { return 0 };
    let taken = arriving
        .take(bytes, true)
        .expect("messages of one connection are few");
    let finished = arriving.finish();
    assert!(
        arriving.bytes.len() <= MESSAGE_BYTES_MAX,
        "messages are bounded"
    );
    assert!(
        arriving.bytes.capacity() <= 2 * MESSAGE_BYTES_MAX,
        "and so is the room for them"
    );
    if !arriving.check(finished == Some(true)) {
        events.push(Event::Violated(NOT_UTF8));
    } else if finished == Some(true)
        && let Some(whole) = assembly.take()
    {
        events.push(Event::Message(whole.bytes));
    }
    taken
}

fn control(opcode: Opcode, payload: &[u8]) -> Event {
    match opcode {
        Opcode::Close => Event::Closed(close_answer(payload)),
        _ => Event::Control(opcode, payload.to_vec()),
    }
}

/// Reads frame by frame and checks a text when it is complete; an incomplete end is checked as far
/// as it goes.
fn plainly(bytes: &[u8]) -> Vec<Event> {
    let (mut events, mut rest, mut message) = (Vec::new(), bytes, None::<(usize, Vec<u8>)>);
    loop {
        let collected = message.as_ref().map_or(0, |(_, text)| text.len());
        let header = match Header::read(rest, MESSAGE_BYTES_MAX - collected) {
            Ok(Some(header)) => header,
            Ok(None) => return events,
            Err(violation) => {
                events.push(Event::Violated(violation));
                return events;
            }
        };
        let body = &rest[header.header_bytes..];
        let cycled = body
            .iter()
            .take(header.payload_bytes)
            .zip(header.mask.iter().cycle());
        let plain: Vec<u8> = cycled.map(|(byte, key)| byte ^ key).collect();
        let is_whole = plain.len() == header.payload_bytes;
        rest = &body[plain.len()..];
        if header.opcode.is_control() {
            if !is_whole {
                return events;
            }
            events.push(control(header.opcode, &plain));
            if header.opcode == Opcode::Close {
                return events;
            }
            continue;
        }
        let begins = header.opcode != Opcode::Continuation;
        let fragments = message.as_ref().map_or(0, |(fragments, _)| *fragments);
        let before = message.as_ref().map(|(fragments, _)| {
            let mut begun = Assembly::default();
            begun.fragments = *fragments;
            begun
        });
        if begins == message.is_some() || fragments >= FRAGMENTS_MAX {
            let violation = misplaced(header.opcode, before.as_ref())
                .expect("a frame at a wrong place is misplaced");
            events.push(Event::Violated(violation));
            return events;
        }
        let (count, mut text) = message.take().unwrap_or_default();
        text.extend_from_slice(&plain);
        let ends = is_whole && header.fin;
        // An incomplete code point at the end may still become valid.
        let can_be = std::str::from_utf8(&text)
            .map_or_else(|error| !ends && error.error_len().is_none(), |_| true);
        if !can_be {
            events.push(Event::Violated(NOT_UTF8));
            return events;
        }
        if !is_whole {
            return events;
        }
        if ends {
            events.push(Event::Message(text));
        } else {
            message = Some((count + 1, text));
        }
    }
}

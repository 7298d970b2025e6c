//! RFC 6455 frame by frame: cases as data, each with the frames to send and the expected effect.
//!
//! The ids are those of the Autobahn test suite, sections 1 to 7 and 10, so that results can be
//! compared. The server does not echo, so the bytes travel in a `direct-message` to a witness,
//! which must receive exactly these bytes with `fromUserId` added. A case that differs from the
//! catalogue has the reason in `deviation`.

use crate::{
    host::Host,
    raw::{Raw, masked},
    root,
};
use serde::Deserialize;
use std::{fs, time::Duration};

/// One case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Id in the catalogue.
    pub id: String,
    /// Subject.
    pub title: String,
    /// The message that parts are taken from.
    pub message: Option<Message>,
    /// A second message.
    pub short: Option<Message>,
    /// Size of one write: `frame`, or a number of bytes. Everything at once if absent.
    pub segment: Option<Segment>,
    /// Steps, in order.
    pub steps: Vec<Step>,
    /// Expected frames: `pong`, `pong <hex>`, `refused <code>` to the sender, `message` and
    /// `message short` to the witness.
    pub expect: Vec<String>,
    /// Code of the server's close frame.
    pub end: u16,
    /// Why it differs from the catalogue.
    pub deviation: Option<String>,
}

/// Size of one write.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Segment {
    /// Bytes.
    Bytes(usize),
    /// `frame`.
    Word(String),
}

/// A message whose arrival can be proven.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Bytes of the whole envelope.
    bytes: Option<usize>,
    /// Its text.
    text: Option<String>,
    /// Its text as bytes.
    hex: Option<String>,
}

/// One step.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// A frame with this opcode: a word or a number.
    op: Option<serde_json::Value>,
    #[serde(default = "yes")]
    fin: bool,
    #[serde(default)]
    rsv: u8,
    text: Option<String>,
    hex: Option<String>,
    /// Hex, and the number of repetitions.
    repeat: Option<(String, usize)>,
    /// The i-th of n parts of the message.
    part: Option<(usize, usize)>,
    /// The message up to this text.
    upto: Option<String>,
    /// The message from this text on.
    since: Option<String>,
    /// Take the parts from the second message.
    #[serde(default)]
    of: String,
    /// Number of bytes of the payload to send; without `op`, more of the last frame.
    send: Option<usize>,
    /// The whole message in fragments of this size.
    fragments: Option<usize>,
    /// A close frame with this code.
    close: Option<u16>,
    /// Nothing has arrived, and the connection is open.
    #[serde(default)]
    quiet: bool,
    /// Wait for this before sending more.
    #[serde(rename = "await")]
    awaited: Option<String>,
}

fn yes() -> bool {
    true
}

impl Case {
    /// One plain message, to check that nothing arrived before it.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn probe() -> Self {
        let text = r#"{"id":"last","title":"one more message","message":{"text":"last"},"expect":["message"],"end":1000,
            "steps":[{"op":"text","part":[0,1]},{"close":1000}]}"#;
        serde_json::from_str(text).expect("a case")
    }
}

/// The cases of all files.
///
/// # Panics
/// When a file is not a list of cases, or an id is in the wrong file.
#[must_use]
pub fn cases() -> Vec<Case> {
    let mut files: Vec<_> = fs::read_dir(root().join("tests/cases/websocket"))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "json")
    });
    files.sort();
    let read = |path: &std::path::PathBuf| -> Vec<Case> {
        let cases: Vec<Case> = serde_json::from_str(&fs::read_to_string(path).expect("a file"))
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let section = name
            .split('-')
            .next()
            .unwrap_or_default()
            .trim_start_matches('0');
        assert!(
            cases
                .iter()
                .all(|case| case.id.split('.').next() == Some(section)),
            "{name} holds another section's case"
        );
        cases
    };
    files.iter().flat_map(read).collect()
}

/// The receiver of the messages that the cases send.
pub struct Witness {
    raw: Raw,
    name: &'static str,
}

impl Witness {
    /// Connects as `name`.
    #[must_use]
    pub fn connect(host: &Host, name: &'static str) -> Self {
        let mut raw = identified(host, name);
        settle(&mut raw);
        Self { raw, name }
    }

    /// The next message, unchanged.
    ///
    /// # Panics
    /// When the connection ends instead.
    pub fn next_message(&mut self) -> Vec<u8> {
        loop {
            let frame = self.raw.next_frame().expect("the witness stays connected");
            match frame.opcode {
                1 => return frame.payload,
                9 => self.raw.frame(0x8a, &frame.payload),
                opcode => panic!("the witness got a frame with opcode {opcode}"),
            }
        }
    }
}

fn identified(host: &Host, name: &str) -> Raw {
    let mut raw = Raw::connect(host);
    let connected = raw.next_frame().expect("the first frame");
    let connected = String::from_utf8_lossy(&connected.payload);
    assert!(connected.contains(r#""type":"connected""#), "{connected}");
    raw.text(&format!(
        r#"{{"type":"identify","oderId":"{name}","displayName":"{name}"}}"#
    ));
    raw
}

/// Waits until everything sent so far has been handled.
fn settle(raw: &mut Raw) {
    raw.frame(0x89, b"settled");
    let frame = raw.next_frame().expect("an open connection");
    assert_eq!(
        (frame.opcode, frame.payload.as_slice()),
        (10, &b"settled"[..])
    );
}

/// Runs one case.
///
/// # Errors
/// What arrived instead of the expected frames.
pub fn run(host: &Host, case: &Case, witness: &mut Witness) -> Result<(), String> {
    let mut raw = identified(host, "sender");
    settle(&mut raw);
    let mut running = Running {
        raw,
        case,
        message: case
            .message
            .as_ref()
            .map(|message| message.envelope(witness.name)),
        short: case
            .short
            .as_ref()
            .map(|message| message.envelope(witness.name)),
        expected: case
            .expect
            .iter()
            .filter(|expected| !expected.starts_with("message"))
            .map(String::as_str)
            .collect(),
        waiting: Vec::new(),
        last: Vec::new(),
        said_close: false,
    };
    running.steps()?;
    running.end()?;
    for expected in case
        .expect
        .iter()
        .filter(|expected| expected.starts_with("message"))
    {
        let sent = if expected == "message" {
            &running.message
        } else {
            &running.short
        };
        let sent = sent.as_ref().ok_or("the case names no such message")?;
        let mut wanted = sent[..sent.len() - 1].to_vec();
        wanted.extend_from_slice(br#","fromUserId":"sender"}"#);
        let came = witness.next_message();
        if came != wanted {
            return Err(format!(
                "the witness got {} bytes: {}",
                came.len(),
                String::from_utf8_lossy(&came[..came.len().min(200)])
            ));
        }
    }
    Ok(())
}

struct Running<'c> {
    raw: Raw,
    case: &'c Case,
    message: Option<Vec<u8>>,
    short: Option<Vec<u8>>,
    /// Frames that the sender still expects, in order.
    expected: std::collections::VecDeque<&'c str>,
    /// Written with the next flush, frame by frame.
    waiting: Vec<Vec<u8>>,
    /// The last frame that was sent in part, and the number of bytes sent.
    last: Vec<u8>,
    said_close: bool,
}

impl Running<'_> {
    fn steps(&mut self) -> Result<(), String> {
        for step in &self.case.steps {
            if let Some(awaited) = &step.awaited {
                self.flush();
                let next = self.expected.pop_front();
                if next != Some(awaited) {
                    return Err(format!("awaits {awaited}, and expects {next:?}"));
                }
                let frame = self
                    .raw
                    .next_frame()
                    .ok_or_else(|| format!("ended instead of {awaited}"))?;
                check(awaited, &frame)?;
            } else if step.quiet {
                self.flush();
                if !self.expected.is_empty() || !self.raw.is_quiet(Duration::from_millis(100)) {
                    return Err("something came too early".into());
                }
            } else {
                let frames = self.frames(step)?;
                self.waiting.extend(frames);
            }
        }
        self.flush();
        Ok(())
    }

    /// Waits for the remaining frames, the close frame, and the end of the stream.
    fn end(&mut self) -> Result<(), String> {
        while let Some(expected) = self.expected.pop_front() {
            let frame = self
                .raw
                .next_frame()
                .ok_or_else(|| format!("ended instead of {expected}"))?;
            check(expected, &frame)?;
        }
        let frame = self.raw.next_frame().ok_or("ended without a close frame")?;
        match frame.close() {
            Some((code, _)) if code == self.case.end => {}
            _ => {
                return Err(format!(
                    "wanted the close frame {}, got {frame:?}",
                    self.case.end
                ));
            }
        }
        if !self.said_close {
            self.raw.frame(0x88, &self.case.end.to_be_bytes());
        }
        if self.raw.ends_cleanly() {
            Ok(())
        } else {
            Err("the connection was reset, not closed".into())
        }
    }

    fn flush(&mut self) {
        let frames = std::mem::take(&mut self.waiting);
        match &self.case.segment {
            None => self.raw.write(&frames.concat()),
            Some(Segment::Word(_)) => {
                for frame in frames {
                    self.raw.write(&frame);
                    // Long enough that the server usually reads the writes one by one; no result
                    // depends on it.
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            Some(Segment::Bytes(bytes)) => frames
                .concat()
                .chunks(*bytes)
                .for_each(|segment| self.raw.write(segment)),
        }
    }

    fn frames(&mut self, step: &Step) -> Result<Vec<Vec<u8>>, String> {
        if let Some(code) = step.close {
            self.said_close = true;
            return Ok(vec![masked(0x88, &code.to_be_bytes())]);
        }
        let message = if step.of == "short" {
            self.short.as_deref()
        } else {
            self.message.as_deref()
        };
        if let Some(bytes) = step.fragments {
            let message = message.ok_or("no message")?;
            let count = message.len().div_ceil(bytes);
            let first_byte =
                |at: usize| if at == 0 { 1 } else { 0 } | if at + 1 == count { 0x80 } else { 0 };
            return Ok(message
                .chunks(bytes)
                .enumerate()
                .map(|(at, part)| masked(first_byte(at), part))
                .collect());
        }
        let Some(op) = &step.op else {
            let until = step.send.ok_or("a step that does nothing")?;
            let (sent, rest) = (usize::from(self.last[0]), &self.last[1..]);
            let piece = rest
                .get(sent..MASKED_SHORT_HEADER + until)
                .ok_or("beyond the frame")?
                .to_vec();
            self.last[0] = (MASKED_SHORT_HEADER + until) as u8;
            return Ok(vec![piece]);
        };
        let opcode = match op.as_str() {
            None => op.as_u64().ok_or("no opcode")? as u8,
            Some("continuation") => 0,
            Some("text") => 1,
            Some("binary") => 2,
            Some("close") => 8,
            Some("ping") => 9,
            Some("pong") => 10,
            Some(word) => return Err(format!("no such opcode: {word}")),
        };
        self.said_close |= opcode == 8;
        let frame = masked(
            u8::from(step.fin) << 7 | step.rsv << 4 | opcode,
            &step.payload(message)?,
        );
        let Some(send) = step.send else {
            return Ok(vec![frame]);
        };
        assert!(frame.len() <= 127, "only short frames are sent in part");
        let end = MASKED_SHORT_HEADER + send;
        self.last = [&[end as u8][..], &frame].concat();
        Ok(vec![frame[..end].to_vec()])
    }
}

/// Bytes of the header of a client's frame below 126 bytes.
const MASKED_SHORT_HEADER: usize = 6;

impl Step {
    fn payload(&self, message: Option<&[u8]>) -> Result<Vec<u8>, String> {
        let place = |text: &str| {
            let message = message.ok_or("no message")?;
            message
                .windows(text.len())
                .position(|window| window == text.as_bytes())
                .ok_or("not in the message")
        };
        Ok(match self {
            Self {
                text: Some(text), ..
            } => text.as_bytes().to_vec(),
            Self { hex: Some(hex), .. } => bytes(hex)?,
            Self {
                repeat: Some((hex, times)),
                ..
            } => bytes(hex)?.repeat(*times),
            Self {
                part: Some((at, of)),
                ..
            } => {
                let message = message.ok_or("no message")?;
                message[message.len() * at / of..message.len() * (at + 1) / of].to_vec()
            }
            Self {
                upto: Some(text), ..
            } => message.unwrap_or_default()[..place(text)?].to_vec(),
            Self {
                since: Some(text), ..
            } => message.unwrap_or_default()[place(text)?..].to_vec(),
            _ => Vec::new(),
        })
    }
}

impl Message {
    /// The envelope that carries it to `witness`.
    fn envelope(&self, witness: &str) -> Vec<u8> {
        let before = format!(r#"{{"type":"direct-message","targetUserId":"{witness}","text":""#)
            .into_bytes();
        let text = match self {
            Self {
                bytes: Some(size), ..
            } => b"*".repeat(size - before.len() - 2),
            Self {
                text: Some(text), ..
            } => text.as_bytes().to_vec(),
            Self { hex, .. } => bytes(hex.as_deref().unwrap_or_default()).expect("hex"),
        };
        [&before[..], &text, br#""}"#].concat()
    }
}

fn check(expected: &str, frame: &crate::raw::Frame) -> Result<(), String> {
    let (word, argument) = expected.split_once(' ').unwrap_or((expected, ""));
    let fine = match word {
        "pong" => frame.opcode == 10 && frame.payload == bytes(argument)?,
        "refused" => {
            frame.opcode == 1
                && String::from_utf8_lossy(&frame.payload)
                    .contains(&format!(r#""code":"{argument}""#))
        }
        _ => return Err(format!("no such expectation: {expected}")),
    };
    if fine {
        Ok(())
    } else {
        Err(format!("wanted {expected}, got {frame:?}"))
    }
}

fn bytes(hex: &str) -> Result<Vec<u8>, String> {
    let pairs = hex
        .as_bytes()
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).map_err(|error| error.to_string()));
    pairs
        .map(|pair| u8::from_str_radix(pair?, 16).map_err(|error| format!("{error} in {hex}")))
        .collect()
}

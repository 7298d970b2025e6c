//! The validator: [`validate`] turns an envelope and its context into a verdict. It has no side effects; the gateway
//! performs the effects.
//!
//! It keeps the order of checks, tolerates the omissions of version 1.0 clients, stamps by byte patches and applies the
//! rules of plugin events. An envelope that no rule allows is refused. The component `envelope-validator` runs this
//! code; tests run it natively as well.
#![forbid(unsafe_code)]

mod content;
mod definitions;
mod fields;
mod identify;
mod plugin_event;
mod stamp;
mod time;

pub use definitions::Definitions;

use ::plugin_event::Violation;
use envelope::{
    Context, Envelope, EnvelopeType, Verdict,
    catalogue::Routing,
    decode::shorten,
    reply::{self, EventNames, code},
    tape::Tape,
    verdict::{Decision, Effect, Membership, Refusal, Snapshot, Validator, ValidatorError},
};
use fields::{Fields, invalid, longer, word};
use limits::envelope::REQUEST_ID_CHARS_MAX;
use stamp::Stamp;
use std::borrow::Cow;

const PLUGIN_EVENT: &str = "plugin_event";

/// Why there is no decision.
#[derive(Debug)]
enum Stop {
    Refuse {
        code: &'static str,
        message: String,
        violations: Vec<Violation>,
    },
    NeedSnapshot(String),
}

impl Stop {
    fn refuse(code: &'static str, message: String) -> Self {
        Self::Refuse {
            code,
            message,
            violations: Vec::new(),
        }
    }
}

/// Decides about one envelope: the bytes of one WebSocket text message.
///
/// The answer is [`Verdict::Route`], [`Verdict::Refuse`] with the complete envelope for the sender, or
/// [`Verdict::NeedSnapshot`] when the server's definitions in the revision of `context` are missing.
#[must_use]
pub fn validate(known: &mut Definitions, context: &Context<'_>, bytes: &[u8]) -> Verdict {
    let mut tape = known.lend_tape();
    let verdict = validate_with(known, &mut tape, context, bytes);
    known.take_back(tape);
    verdict
}

fn validate_with(
    known: &mut Definitions,
    tape: &mut Tape,
    context: &Context<'_>,
    bytes: &[u8],
) -> Verdict {
    let envelope = match Envelope::decode_taping(bytes, tape, PLUGIN_EVENT, plugin_event::PAYLOAD) {
        Ok(envelope) => envelope,
        Err(error) => {
            return Verdict::Refuse(reply::refuse(
                code::BAD_JSON,
                &error.to_string(),
                None,
                None,
            ));
        }
    };
    let kind = envelope.text("type");
    match decide(known, tape, context, &envelope, kind.as_deref()) {
        Ok(decision) => Verdict::Route(decision),
        Err(Stop::NeedSnapshot(server_id)) => Verdict::NeedSnapshot(server_id),
        Err(Stop::Refuse {
            code,
            message,
            violations,
        }) => Verdict::Refuse(refusal(
            &envelope,
            kind.as_deref(),
            code,
            &message,
            &violations,
        )),
    }
}

fn decide(
    known: &mut Definitions,
    tape: &mut Tape,
    context: &Context<'_>,
    envelope: &Envelope<'_>,
    kind: Option<&str>,
) -> Result<Decision, Stop> {
    let kind = kind.ok_or_else(|| {
        Stop::refuse(
            code::BAD_JSON,
            "not an envelope: the member \"type\" must be a text".to_owned(),
        )
    })?;
    let kind = envelope::find(kind)
        .filter(|kind| kind.direction.from_client())
        .ok_or_else(|| {
            Stop::refuse(
                code::UNKNOWN_TYPE,
                format!("type {} is not one that clients send", word(kind)),
            )
        })?;
    if envelope.bytes().len() > kind.bytes_max {
        let message = format!(
            "{} has {} bytes, the limit is {}",
            kind.name,
            envelope.bytes().len(),
            kind.bytes_max
        );
        return Err(Stop::refuse(code::PAYLOAD_TOO_LARGE, message));
    }
    let needs_identity = kind.routing != Routing::Connection;
    if context.user_id.is_none() && needs_identity {
        return Err(Stop::refuse(
            code::NOT_IDENTIFIED,
            format!("{} needs an identity: send identify first", kind.name),
        ));
    }
    let turn = Turn {
        context,
        envelope,
        user_id: context.user_id.unwrap_or_default(),
    };
    // For plugin events this check comes after those of the event.
    if kind.name != PLUGIN_EVENT {
        turn.request_id()?;
    }
    route(known, tape, kind, &turn)
}

fn route(
    known: &mut Definitions,
    tape: &mut Tape,
    kind: &EnvelopeType,
    turn: &Turn<'_, '_>,
) -> Result<Decision, Stop> {
    match kind.name {
        "identify" => identify::decide(turn),
        "keepalive" => Ok(Decision {
            patches: Vec::new(),
            effects: vec![Effect::Keepalive],
        }),
        "status_update" => content::status(turn),
        "join_server" => content::access(turn, Effect::Join),
        "view_server" => content::access(turn, Effect::View),
        "leave_server" => content::leave(turn),
        "chat_message" => content::chat(known, turn),
        "typing" => content::typing(turn),
        "voice_state" => content::voice(turn),
        "server_icon_available" => {
            content::icon(turn, true, |server_id, updated_at| Effect::IconAvailable {
                server_id,
                updated_at,
            })
        }
        "server_icon_sync_request" => {
            content::icon(turn, false, |server_id, updated_at| Effect::IconPeers {
                server_id,
                updated_at,
            })
        }
        PLUGIN_EVENT => {
            let decision = plugin_event::decide(known, tape, turn)?;
            turn.request_id()?;
            Ok(decision)
        }
        name => match kind.routing {
            Routing::Target(class) => content::forward(turn, class),
            _ => Err(Stop::refuse(
                code::UNKNOWN_TYPE,
                format!("type {} has no rule", word(name)),
            )),
        },
    }
}

/// One envelope with its context.
struct Turn<'e, 'b> {
    context: &'e Context<'e>,
    envelope: &'e Envelope<'b>,
    /// The sender; empty before `identify`.
    user_id: &'e str,
}

impl<'e, 'b> Turn<'e, 'b> {
    fn fields(&self) -> Fields<'e, 'b> {
        Fields(self.envelope)
    }

    fn stamp(&self) -> Stamp<'e, 'b> {
        Stamp::new(self.envelope)
    }

    fn request_id(&self) -> Result<(), Stop> {
        self.fields()
            .text_max("requestId", REQUEST_ID_CHARS_MAX)
            .map(drop)
    }

    /// The server that the envelope names. The gateway's scan must have read the same one.
    fn named_server(&self) -> Result<Cow<'e, str>, Stop>
    where
        'b: 'e,
    {
        self.named()?
            .ok_or_else(|| invalid("serverId is missing".to_owned()))
    }

    /// The server that the envelope names or, in envelopes of version 1.0, implies.
    fn server(&self) -> Result<Cow<'e, str>, Stop>
    where
        'b: 'e,
    {
        if let Some(named) = self.named()? {
            return Ok(named);
        }
        let implied = self
            .context
            .server_id
            .filter(|_| self.context.server_implied);
        implied.map(Cow::Borrowed).ok_or_else(|| {
            invalid(
                "serverId is missing, and there is not one joined server that could be meant"
                    .to_owned(),
            )
        })
    }

    fn named(&self) -> Result<Option<Cow<'e, str>>, Stop>
    where
        'b: 'e,
    {
        let Some(named) = self.fields().server_id()? else {
            return Ok(None);
        };
        if self.context.server_implied || self.context.server_id != Some(named.as_ref()) {
            let message =
                "serverId is read differently by the host: write it once, as a plain text"
                    .to_owned();
            return Err(Stop::refuse(code::BAD_JSON, message));
        }
        Ok(Some(named))
    }

    fn must_be_joined(&self, server_id: &str) -> Result<(), Stop> {
        match self.context.membership {
            Membership::Joined => Ok(()),
            _ => Err(Stop::refuse(
                code::NOT_A_MEMBER,
                format!("you have not joined server {}", word(server_id)),
            )),
        }
    }

    /// Adds the implied server.
    fn imply(&self, stamp: &mut Stamp<'_, '_>, server_id: &str) {
        if self.context.server_implied {
            stamp.text("serverId", server_id);
        }
    }
}

/// The complete refusal for the sender.
fn refusal(
    envelope: &Envelope<'_>,
    kind: Option<&str>,
    code: &str,
    message: &str,
    violations: &[Violation],
) -> Refusal {
    let request_id = envelope
        .text("requestId")
        .filter(|id| !longer(id, REQUEST_ID_CHARS_MAX));
    if kind != Some(PLUGIN_EVENT) {
        let kind = kind.map(shorten);
        return reply::refuse(code, message, kind.as_deref(), request_id.as_deref());
    }
    let name = |key: &str| {
        envelope
            .text(key)
            .map(|text| Cow::Owned(shorten(&text).into_owned()))
    };
    let names = EventNames {
        server_id: envelope
            .text("serverId")
            .filter(|id| envelope::verdict::server(id).is_some()),
        plugin_id: name("pluginId"),
        event_name: name("eventName"),
        request_id,
    };
    reply::refuse_event(code, message, &names, violations)
}

/// The validator without a sandbox, for tests and measurements. A server runs the component.
#[derive(Debug, Default)]
pub struct NativeValidator(Definitions);

impl NativeValidator {
    /// Without any definitions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Validator for NativeValidator {
    fn validate(
        &mut self,
        context: &Context<'_>,
        envelope: &[u8],
    ) -> Result<Verdict, ValidatorError> {
        Ok(validate(&mut self.0, context, envelope))
    }

    fn update_definitions(&mut self, snapshot: &Snapshot) -> Result<(), ValidatorError> {
        self.0.update(snapshot.clone());
        Ok(())
    }
}

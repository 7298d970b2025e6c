//! The rules of all types but `identify` and `plugin_event`: presence, membership, chat, typing, voice, forwarding,
//! icons.

use crate::{
    Stop, Turn,
    definitions::Definitions,
    fields::{invalid, word},
};
use envelope::{
    reply::code,
    verdict::{Access, Decision, Effect, ForwardClass, Membership, Status},
};
use limits::{
    directory::PASSWORD_BYTES_MAX,
    envelope::{CHANNEL_ID_CHARS_MAX, KEY_BYTES_MAX},
};

/// `status_update`. The gateway sends it once per joined server and adds `serverId` then.
pub(crate) fn status(turn: &Turn<'_, '_>) -> Result<Decision, Stop> {
    let text = turn
        .fields()
        .text("status")?
        .ok_or_else(|| invalid("status is missing".to_owned()))?;
    let status = Status::parse(&text).ok_or_else(|| {
        invalid(format!(
            "status must be online, away, busy or offline, not {}",
            word(&text)
        ))
    })?;
    let mut stamp = turn.stamp();
    stamp.text("oderId", turn.user_id);
    Ok(Decision {
        patches: stamp.patches(),
        effects: vec![Effect::SetStatus(status)],
    })
}

/// `join_server` and `view_server`.
pub(crate) fn access(turn: &Turn<'_, '_>, effect: fn(Access) -> Effect) -> Result<Decision, Stop> {
    let fields = turn.fields();
    let access = Access {
        server_id: turn.named_server()?.into_owned(),
        password: fields.bytes_max("password", PASSWORD_BYTES_MAX)?,
        invite: fields.bytes_max("inviteToken", KEY_BYTES_MAX)?,
        roster_offset: fields.count("rosterOffset")?.unwrap_or_default(),
    };
    Ok(Decision {
        patches: Vec::new(),
        effects: vec![effect(access)],
    })
}

/// `leave_server`. Leaving a server that was never joined is no error.
pub(crate) fn leave(turn: &Turn<'_, '_>) -> Result<Decision, Stop> {
    let server_id = turn.server()?.into_owned();
    Ok(Decision {
        patches: Vec::new(),
        effects: vec![Effect::Leave(server_id)],
    })
}

/// `chat_message`. The sender's name and identity are stamped, unless the client speaks for a plugin that the server
/// knows.
pub(crate) fn chat(known: &mut Definitions, turn: &Turn<'_, '_>) -> Result<Decision, Stop> {
    let fields = turn.fields();
    let server_id = turn.server()?;
    turn.must_be_joined(&server_id)?;
    match fields.raw("message").map(|raw| raw.as_bytes()[0]) {
        Some(b'"' | b'{') => {}
        Some(_) => return Err(invalid("message must be a text or an object".to_owned())),
        None => return Err(invalid("message is missing".to_owned())),
    }
    fields.time("timestamp")?;
    let sender = fields.text("senderId")?;
    let name = fields.text("senderName")?;
    let mut stamp = turn.stamp();
    let plugin = match sender
        .as_deref()
        .filter(|sender| *sender != turn.user_id && !sender.is_empty())
    {
        Some(claimed) => {
            let definitions = known
                .server(&server_id, turn.context.server_revision)
                .ok_or_else(|| Stop::NeedSnapshot(server_id.to_string()))?;
            definitions.plugin_of(claimed)
        }
        None => None,
    };
    match plugin {
        Some(plugin) => {
            if name.is_none() {
                stamp.text("senderName", plugin);
            }
            stamp.text("sourceUserId", turn.user_id);
        }
        None => {
            stamp.text("senderId", turn.user_id);
            stamp.text("senderName", turn.context.display_name);
        }
    }
    turn.imply(&mut stamp, &server_id);
    Ok(Decision {
        patches: stamp.patches(),
        effects: vec![Effect::Broadcast(server_id.into_owned())],
    })
}

/// `typing`.
pub(crate) fn typing(turn: &Turn<'_, '_>) -> Result<Decision, Stop> {
    let fields = turn.fields();
    let server_id = turn.server()?;
    turn.must_be_joined(&server_id)?;
    fields
        .boolean("isTyping")?
        .ok_or_else(|| invalid("isTyping is missing".to_owned()))?;
    fields.text_max("channelId", CHANNEL_ID_CHARS_MAX)?;
    let mut stamp = turn.stamp();
    stamp.text("oderId", turn.user_id);
    stamp.text("displayName", turn.context.display_name);
    turn.imply(&mut stamp, &server_id);
    Ok(Decision {
        patches: stamp.patches(),
        effects: vec![Effect::Broadcast(server_id.into_owned())],
    })
}

/// `voice_state`. Its content is not checked; it is the state of one connection.
pub(crate) fn voice(turn: &Turn<'_, '_>) -> Result<Decision, Stop> {
    let server_id = turn.server()?;
    turn.must_be_joined(&server_id)?;
    let mut stamp = turn.stamp();
    stamp.text("oderId", turn.user_id);
    stamp.text("displayName", turn.context.display_name);
    stamp.text("connectionId", turn.context.connection_id);
    turn.imply(&mut stamp, &server_id);
    Ok(Decision {
        patches: stamp.patches(),
        effects: vec![Effect::Broadcast(server_id.into_owned())],
    })
}

/// Envelopes to one identity: unchanged except for `fromUserId`.
pub(crate) fn forward(turn: &Turn<'_, '_>, class: ForwardClass) -> Result<Decision, Stop> {
    let target = turn
        .fields()
        .user_id("targetUserId")?
        .ok_or_else(|| invalid("targetUserId is missing".to_owned()))?;
    let mut stamp = turn.stamp();
    stamp.text("fromUserId", turn.user_id);
    Ok(Decision {
        patches: stamp.patches(),
        effects: vec![Effect::Forward {
            user_id: target.into_owned(),
            class,
        }],
    })
}

/// `server_icon_available` and `server_icon_sync_request`, for connections that joined or view the server.
pub(crate) fn icon(
    turn: &Turn<'_, '_>,
    required: bool,
    effect: fn(String, u64) -> Effect,
) -> Result<Decision, Stop> {
    let server_id = turn.server()?;
    if turn.context.membership == Membership::None {
        return Err(Stop::refuse(
            code::NOT_A_MEMBER,
            format!(
                "you have neither joined nor are viewing server {}",
                word(&server_id)
            ),
        ));
    }
    let version = turn.fields().millis("iconUpdatedAt")?;
    if required && version.is_none() {
        return Err(invalid("iconUpdatedAt is missing".to_owned()));
    }
    let effect = effect(server_id.into_owned(), version.unwrap_or_default());
    Ok(Decision {
        patches: Vec::new(),
        effects: vec![effect],
    })
}

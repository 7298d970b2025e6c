//! What the answers of a component must keep to, whatever its position in the chain.

use envelope::{
    Envelope,
    verdict::{Decision, Refusal},
};
use limits::{
    socket::MESSAGE_BYTES_MAX,
    validator::{CODE_CHARS_MAX, EFFECTS_MAX, PATCHES_MAX, REPLY_BYTES_MAX},
};
use std::borrow::Cow;

/// A rewritten envelope must be an envelope of the same type for the same server: the context was made for the
/// original.
pub(crate) fn check_rewrite(new: &[u8], original: &Envelope<'_>) -> Result<(), &'static str> {
    if new.len() > MESSAGE_BYTES_MAX {
        return Err("rewrote the envelope to more bytes than a message may have");
    }
    let new =
        Envelope::decode(new).map_err(|_| "rewrote the envelope to what is not a JSON object")?;
    let same = |key: &str| {
        new.text(key) == original.text(key) && new.is_nothing(key) == original.is_nothing(key)
    };
    match (same("type"), same("serverId")) {
        (true, true) => Ok(()),
        (false, _) => Err("rewrote the envelope to another type"),
        (_, false) => Err("rewrote the envelope for another server"),
    }
}

pub(crate) fn check_refusal(refusal: &Refusal) -> Result<(), &'static str> {
    let legal = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    if refusal.code.is_empty()
        || refusal.code.len() > CODE_CHARS_MAX
        || !refusal.code.bytes().all(legal)
    {
        return Err("refused with a code that is not 1 to 64 characters of A-Z, 0-9 and '_'");
    }
    if refusal.reply.len() > REPLY_BYTES_MAX {
        return Err("refused with a reply that is too long");
    }
    let reply = Envelope::decode(&refusal.reply)
        .map_err(|_| "refused with a reply that is not a JSON object")?;
    match reply.text("type").as_deref() {
        Some("error" | "plugin_error" | "access_denied") => Ok(()),
        _ => Err("refused with a reply that is no error, plugin_error or access_denied"),
    }
}

pub(crate) fn check_decision(decision: &Decision, bytes: &[u8]) -> Result<(), Cow<'static, str>> {
    if decision.effects.len() > EFFECTS_MAX {
        return Err(format!(
            "asked for {} effects, the limit is {EFFECTS_MAX}",
            decision.effects.len()
        )
        .into());
    }
    if decision.patches.len() > PATCHES_MAX {
        return Err(format!(
            "asked for {} patches, the limit is {PATCHES_MAX}",
            decision.patches.len()
        )
        .into());
    }
    let (mut at, mut total) = (0u64, bytes.len() as u64);
    for patch in &decision.patches {
        let (offset, end) = (
            u64::from(patch.offset),
            u64::from(patch.offset) + u64::from(patch.remove),
        );
        if offset < at || end > bytes.len() as u64 {
            return Err("its patches overlap, are out of order or lie outside the envelope".into());
        }
        at = end;
        total = total - u64::from(patch.remove) + patch.insert.len() as u64;
    }
    if total > 2 * MESSAGE_BYTES_MAX as u64 {
        Err("its patches make the envelope too long".into())
    } else {
        Ok(())
    }
}

//! What the sender of a refused envelope is told.

use crate::{
    config::Compat,
    metrics::{Metrics, code_label},
    session::{
        Sessions,
        pending::{Wait, event_names},
    },
};
use envelope::{
    Scan,
    reply::{self, EventNames, code},
    verdict::Refusal,
};
use std::borrow::Cow;

/// A reason for which an envelope is refused.
#[derive(Debug, Clone)]
pub(crate) struct Reason<'a> {
    /// For programs.
    pub code: &'a str,
    /// For users.
    pub message: Cow<'a, str>,
    /// Milliseconds until the same envelope may succeed.
    pub retry_after_ms: Option<u64>,
}

impl<'a> Reason<'a> {
    /// A reason that does not pass by itself.
    pub(crate) fn new(code: &'a str, message: impl Into<Cow<'a, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after_ms: None,
        }
    }

    /// A reason that may have passed after `retry_after_ms`.
    pub(crate) fn retry(
        code: &'a str,
        message: impl Into<Cow<'a, str>>,
        retry_after_ms: u64,
    ) -> Self {
        Self {
            retry_after_ms: Some(retry_after_ms),
            ..Self::new(code, message)
        }
    }

    /// A refusal by an `error` envelope.
    pub(super) fn error(self, kind: Option<&str>, request_id: Option<&str>) -> Refusal {
        let Self {
            code,
            message,
            retry_after_ms,
        } = self;
        Refusal {
            code: code.to_owned(),
            reply: reply::error(code, &message, kind, request_id, retry_after_ms),
        }
    }
}

impl Sessions {
    /// Counts a refusal and sends it to the sender, if it asked for errors. Unknown types are answered at a bounded
    /// rate.
    pub(crate) fn refuse(&mut self, slot: u32, refusal: &Refusal) {
        Metrics::count(&self.hub.metrics.refused, code_label(&refusal.code));
        let is_guarded = self.hub.config.socket.compat == Compat::Guarded;
        let now_ms = self.sockets.now_ms();
        let Some(session) = self.sockets.session_mut(slot) else {
            return;
        };
        if refusal.code == code::UNKNOWN_TYPE
            && !session
                .rates()
                .answers_unknown_type(&self.hub.rates, now_ms)
        {
            return;
        }
        if is_guarded || session.wants_errors() {
            self.sockets.send_envelope(slot, &refusal.reply);
        }
    }

    /// Refuses the envelope of `scan`.
    pub(super) fn refuse_scanned(&mut self, slot: u32, scan: &Scan<'_>, reason: Reason<'_>) {
        let refusal = reason.error(scan.type_name().as_deref(), scan.request_id().as_deref());
        self.refuse(slot, &refusal);
    }

    /// Refuses an `identify`.
    pub(super) fn refuse_identify(
        &mut self,
        slot: u32,
        request_id: Option<&str>,
        reason: Reason<'_>,
    ) {
        self.refuse(slot, &reason.error(Some("identify"), request_id));
    }

    /// Refuses a server by `access_denied`, which each client gets.
    pub(super) fn deny(
        &mut self,
        slot: u32,
        server_id: &str,
        request_id: Option<&str>,
        reason: Reason<'_>,
    ) {
        Metrics::count(&self.hub.metrics.refused, "access_denied");
        let Reason {
            code,
            message,
            retry_after_ms,
        } = reason;
        let denied = reply::access_denied(server_id, code, &message, request_id, retry_after_ms);
        self.sockets.send_envelope(slot, &denied);
    }

    /// Refuses an envelope that has waited, in the form that its type calls for.
    pub(crate) fn refuse_pending(
        &mut self,
        slot: u32,
        wait: &Wait,
        request_id: Option<&str>,
        reason: Reason<'_>,
    ) {
        match wait {
            Wait::User(_) | Wait::KeyBinding(_) => {
                self.refuse_identify(slot, request_id, reason);
            }
            Wait::Server { access, .. } | Wait::Join { access, .. } => {
                self.deny(slot, &access.server_id, request_id, reason);
            }
            Wait::Validator { envelope, .. } => {
                let kind = Scan::new(envelope).type_name();
                self.refuse(slot, &reason.error(kind.as_deref(), request_id));
            }
            Wait::Plugins(held) => match event_names(&held.kind) {
                None => self.refuse(
                    slot,
                    &reason.error(Some(held.envelope_type.name), request_id),
                ),
                Some((plugin_id, event_name)) => {
                    let names = EventNames {
                        server_id: Scan::new(&held.envelope).server_id(),
                        plugin_id: Some(plugin_id.into()),
                        event_name: Some(event_name.into()),
                        request_id: request_id.map(Into::into),
                    };
                    let refusal = reply::postpone_event(
                        reason.code,
                        &reason.message,
                        &names,
                        reason.retry_after_ms,
                    );
                    self.refuse(slot, &refusal);
                }
            },
        }
    }
}

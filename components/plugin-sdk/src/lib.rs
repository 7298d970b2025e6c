//! The SDK for plugins in Rust: one trait, one macro, and the host's interfaces as modules.
//!
//! ```ignore
//! use plugin_sdk::{Context, Plugin, Request, Response, Result};
//!
//! struct Hello;
//!
//! impl Plugin for Hello {
//!     fn activate(_: Context) -> Result<Self> { Ok(Self) }
//!     fn on_request(&mut self, request: Request) -> Result<Response> { Ok(Response::text(format!("hello {}", request.user_id))) }
//! }
//!
//! plugin_sdk::plugin!(Hello);
//! ```
//!
//! What a plugin does not use is not part of its component: it imports exactly the interfaces that it calls, and its
//! manifest declares them. An instance does one thing at a time, so a plugin needs no locks; it has an instance of its
//! own for each chat server.

#[doc(hidden)]
pub mod bindings;
mod error;
mod http;
pub mod values;

pub use bindings::{
    exports::jackfield::plugin::{
        chat_handler::{ChatMessage, Judgement},
        event_handler::{BusMessage, Disposition, PluginEvent as Event},
        hook_handler::{Action, HookResult},
        lifecycle::{Context, DataChange},
    },
    jackfield::plugin::{
        bus, capabilities, channels, events, http_body, http_client, kv, log, messages, secrets,
        server, settings, types, users,
    },
};
pub use error::{Error, ErrorCode, Result};
pub use http::{Answer, Request, Response};

#[doc(hidden)]
pub mod glue;

/// A plugin. Every method but [`Plugin::activate`] has a default that does nothing.
pub trait Plugin: Sized + 'static {
    /// The first call. An error keeps the plugin from being loaded.
    ///
    /// # Errors
    /// The plugin cannot work.
    fn activate(context: Context) -> Result<Self>;

    /// All plugins are active.
    ///
    /// # Errors
    /// As for `activate`.
    fn ready(&mut self) -> Result<()> {
        Ok(())
    }

    /// The last call.
    fn deactivate(&mut self) {}

    /// The settings have changed; a JSON object of all values.
    fn on_settings_changed(&mut self, _settings: serde_json::Value) {}

    /// The requirements of a server have changed; the envelope `plugin_requirements`.
    fn on_requirements_changed(&mut self, _server_id: &str, _snapshot: serde_json::Value) {}

    /// A value of this plugin was changed from elsewhere.
    fn on_data_changed(&mut self, _change: DataChange) {}

    /// A request on the plugin's route.
    ///
    /// # Errors
    /// The client gets a 502; answer with a status of your own where it is the client's fault.
    fn on_request(&mut self, _request: Request) -> Result<Response> {
        Err(Error::unsupported("this plugin answers no requests"))
    }

    /// As [`Plugin::on_request`], with an answer that is written piece by piece.
    ///
    /// # Errors
    /// As for `on_request`.
    fn on_request_streaming(&mut self, request: Request, answer: Answer) -> Result<()> {
        let response = self.on_request(request)?;
        answer.send(response)
    }

    /// A plugin event. What is answered counts only where `event.decides`.
    ///
    /// # Errors
    /// Written to the plugin's log; where `event.decides`, the event is refused and its sender may try again. Reject what
    /// would fail again.
    fn on_event(&mut self, _event: Event) -> Result<Disposition> {
        Ok(Disposition::Relay)
    }

    /// A message on a topic that was subscribed to.
    fn on_message(&mut self, _message: BusMessage) {}

    /// A chat message on its way.
    ///
    /// # Errors
    /// The message is refused, or goes on without this plugin, as the manifest's `onFailure` and the operator say; the
    /// error is written to the log.
    fn on_chat(&mut self, _message: ChatMessage) -> Result<Judgement> {
        Ok(Judgement::Pass)
    }

    /// A hook of the manifest.
    ///
    /// # Errors
    /// What the hook is about is refused, or goes on without this plugin, as the manifest's `onFailure` and the operator
    /// say.
    fn on_hook(
        &mut self,
        _hook: &str,
        _input: serde_json::Value,
        _output: Option<serde_json::Value>,
    ) -> Result<HookResult> {
        Ok(Action::Proceed.into())
    }

    /// A tool of the manifest.
    ///
    /// # Errors
    /// Told to the caller.
    fn on_tool(&mut self, name: &str, _arguments: serde_json::Value) -> Result<serde_json::Value> {
        Err(Error::not_found(format!("there is no tool {name:?}")))
    }
}

impl From<Action> for HookResult {
    /// An answer that leaves input and output as they are.
    fn from(action: Action) -> Self {
        Self {
            action,
            input: None,
            output: None,
        }
    }
}

/// Makes a type the plugin of this component. Its id and version are those of `jackfield.json` beside `Cargo.toml`.
#[macro_export]
macro_rules! plugin {
    ($plugin:ty) => {
        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code, missing_docs, unreachable_pub, reason = "generated code")]
        mod __component {
            use super::*;
            ::std::thread_local! {
                static PLUGIN: ::std::cell::RefCell<::std::option::Option<$plugin>> = const { ::std::cell::RefCell::new(None) };
            }
            pub(crate) struct Component;
            impl $crate::glue::Component for Component {
                type Plugin = $plugin;
                const MANIFEST: &'static str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/jackfield.json"));
                fn with<T>(run: impl FnOnce(&mut ::std::option::Option<$plugin>) -> T) -> T {
                    PLUGIN.with_borrow_mut(run)
                }
            }
            $crate::glue::export!(Component);
        }
    };
}

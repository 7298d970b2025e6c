//! From the world's exports to the trait: each call is passed to the plugin of the instance.

pub use crate::bindings;
pub use crate::bindings::export_world;
use crate::{
    Answer, Error, Plugin, Request, Result,
    bindings::{
        exports::jackfield::plugin::{
            chat_handler::{ChatMessage, Judgement},
            event_handler::{BusMessage, Disposition, PluginEvent},
            hook_handler::HookResult,
            http_handler,
            lifecycle::{Context, DataChange},
            meta::PluginInfo,
        },
        jackfield::plugin::http_body::{Reader, Writer},
    },
};
use serde_json::Value;

/// The component of a plugin.
pub trait Component {
    /// The plugin.
    type Plugin: Plugin;
    /// The text of its manifest.
    const MANIFEST: &'static str;
    /// The plugin of this instance.
    fn with<T>(run: impl FnOnce(&mut Option<Self::Plugin>) -> T) -> T;
}

fn plugin<C: Component, T>(run: impl FnOnce(&mut C::Plugin) -> Result<T>) -> Result<T> {
    C::with(|plugin| {
        plugin
            .as_mut()
            .map_or_else(|| Err(Error::internal("the plugin is not active")), run)
    })
}

fn tell<C: Component>(run: impl FnOnce(&mut C::Plugin)) {
    C::with(|plugin| plugin.as_mut().map(run));
}

#[doc(hidden)]
pub fn info<C: Component>() -> PluginInfo {
    let manifest: Value = serde_json::from_str(C::MANIFEST).unwrap_or_default();
    let text = |key: &str| manifest[key].as_str().unwrap_or_default().to_owned();
    PluginInfo {
        id: text("id"),
        version: text("version"),
    }
}

#[doc(hidden)]
pub fn activate<C: Component>(context: Context) -> Result<()> {
    let active = C::Plugin::activate(context)?;
    C::with(|plugin| *plugin = Some(active));
    Ok(())
}

#[doc(hidden)]
pub fn ready<C: Component>() -> Result<()> {
    plugin::<C, _>(Plugin::ready)
}

#[doc(hidden)]
pub fn deactivate<C: Component>() {
    C::with(|plugin| {
        if let Some(mut plugin) = plugin.take() {
            plugin.deactivate();
        }
    });
}

#[doc(hidden)]
pub fn settings_changed<C: Component>(settings: &str) {
    tell::<C>(|plugin| {
        plugin.on_settings_changed(serde_json::from_str(settings).unwrap_or_default())
    });
}

#[doc(hidden)]
pub fn requirements_changed<C: Component>(server_id: &str, snapshot: &str) {
    tell::<C>(|plugin| {
        plugin.on_requirements_changed(
            server_id,
            serde_json::from_str(snapshot).unwrap_or_default(),
        )
    });
}

#[doc(hidden)]
pub fn data_changed<C: Component>(change: DataChange) {
    tell::<C>(|plugin| plugin.on_data_changed(change));
}

#[doc(hidden)]
pub fn request<C: Component>(
    request: http_handler::Request,
    body: Reader,
    answer: Writer,
) -> Result<()> {
    plugin::<C, _>(|plugin| {
        plugin.on_request_streaming(Request::new(request, body), Answer::new(answer))
    })
}

#[doc(hidden)]
pub fn event<C: Component>(event: PluginEvent) -> Result<Disposition> {
    plugin::<C, _>(|plugin| plugin.on_event(event))
}

#[doc(hidden)]
pub fn message<C: Component>(message: BusMessage) {
    tell::<C>(|plugin| plugin.on_message(message));
}

#[doc(hidden)]
pub fn chat<C: Component>(message: ChatMessage) -> Result<Judgement> {
    plugin::<C, _>(|plugin| plugin.on_chat(message))
}

#[doc(hidden)]
pub fn hook<C: Component>(hook: &str, input: &str, output: Option<&str>) -> Result<HookResult> {
    let input = serde_json::from_str(input)?;
    let output = output.map(serde_json::from_str).transpose()?;
    plugin::<C, _>(|plugin| plugin.on_hook(hook, input, output))
}

#[doc(hidden)]
pub fn tool<C: Component>(name: &str, arguments: &str) -> Result<String> {
    let arguments = serde_json::from_str(arguments)?;
    plugin::<C, _>(|plugin| plugin.on_tool(name, arguments)).map(|answer| answer.to_string())
}

/// Exports a [`Component`].
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($component:ident) => {
        const _: () = {
            use $crate::glue::{self, bindings::exports::jackfield::plugin as wit, bindings::jackfield::plugin as host};
            impl wit::meta::Guest for $component {
                fn get_info() -> wit::meta::PluginInfo {
                    glue::info::<$component>()
                }
            }
            impl wit::lifecycle::Guest for $component {
                fn activate(context: wit::lifecycle::Context) -> $crate::Result<()> {
                    glue::activate::<$component>(context)
                }
                fn ready() -> $crate::Result<()> {
                    glue::ready::<$component>()
                }
                fn deactivate() {
                    glue::deactivate::<$component>();
                }
                fn on_settings_changed(settings: ::std::string::String) {
                    glue::settings_changed::<$component>(&settings);
                }
                fn on_requirements_changed(server_id: ::std::string::String, snapshot: ::std::string::String) {
                    glue::requirements_changed::<$component>(&server_id, &snapshot);
                }
                fn on_data_changed(change: wit::lifecycle::DataChange) {
                    glue::data_changed::<$component>(change);
                }
            }
            impl wit::http_handler::Guest for $component {
                fn handle(
                    request: wit::http_handler::Request,
                    body: host::http_body::Reader,
                    answer: host::http_body::Writer,
                ) -> $crate::Result<()> {
                    glue::request::<$component>(request, body, answer)
                }
            }
            impl wit::event_handler::Guest for $component {
                fn on_event(event: wit::event_handler::PluginEvent) -> $crate::Result<wit::event_handler::Disposition> {
                    glue::event::<$component>(event)
                }
                fn on_message(message: wit::event_handler::BusMessage) {
                    glue::message::<$component>(message);
                }
            }
            impl wit::chat_handler::Guest for $component {
                fn on_chat(message: wit::chat_handler::ChatMessage) -> $crate::Result<wit::chat_handler::Judgement> {
                    glue::chat::<$component>(message)
                }
            }
            impl wit::hook_handler::Guest for $component {
                fn handle(
                    hook: ::std::string::String,
                    input: ::std::string::String,
                    output: ::std::option::Option<::std::string::String>,
                ) -> $crate::Result<wit::hook_handler::HookResult> {
                    glue::hook::<$component>(&hook, &input, output.as_deref())
                }
            }
            impl wit::tools::Guest for $component {
                fn call(name: ::std::string::String, arguments: ::std::string::String) -> $crate::Result<::std::string::String> {
                    glue::tool::<$component>(&name, &arguments)
                }
            }
        };
        $crate::glue::export_world!($component with_types_in $crate::glue::bindings);
    };
}
pub use crate::__export as export;

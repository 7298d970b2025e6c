//! The table of routes: which paths exist, what they need and what they answer. Dispatch and the OpenAPI document come
//! from it.
//!
//! Fixed segments stand before placeholders, so they win; the ids in [`RESERVED_IDS`] are therefore no plugins' names.

use crate::{
    PluginApi,
    act::Act,
    answer::{Body, Refusal, response},
    auth::Needs,
    call::{Call, name},
    handlers::{audit, calls, check, consents, events, grants, kv, logs, plugins, settings, token},
};
use futures::future::BoxFuture;
use http::{Method, Response, StatusCode};
use rest::{Endpoint, Found, NoRoute, Routes, cors};
use std::time::Instant;

/// Ids that stand for something else below `/api/plugins`.
pub const RESERVED_IDS: [&str; 4] = ["route", "check", "audit", "kill-switch"];

type Handler = for<'a> fn(&'a PluginApi, Call) -> BoxFuture<'a, Result<Response<Body>, Refusal>>;

/// A route.
pub(crate) struct Route {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) needs: Needs,
    pub(crate) id: &'static str,
    pub(crate) summary: &'static str,
    /// Names of the query parameters; `openapi` describes each. A parameter that makes the answer an endless stream
    /// stands in the summary alone, so that tools which try every parameter do not wait for it.
    pub(crate) query: &'static [&'static str],
    /// Schema of the body.
    pub(crate) body: Option<&'static str>,
    /// Schema of the answer.
    pub(crate) answer: &'static str,
    handler: Handler,
}

impl Route {
    /// Whether an administrator changes something here.
    fn changes(&self) -> bool {
        self.needs == Needs::Admin && self.method != "GET" && self.id != "checkCapability"
    }

    /// Whether the first placeholder of the path is a plugin's id.
    fn names_plugin(&self) -> bool {
        self.path.contains("{pluginId}")
    }
}

impl Endpoint for Route {
    fn method(&self) -> &'static str {
        self.method
    }

    fn path(&self) -> &'static str {
        self.path
    }
}

macro_rules! routes {
    ($($method:ident $path:literal $needs:ident $id:literal $query:expr, $body:expr => $answer:literal $handler:path, $summary:literal;)+) => {
        /// All routes but those that plugins answer themselves.
        pub(crate) static ROUTES: Routes<Route> = Routes(&[$(Route {
            method: stringify!($method),
            path: $path,
            needs: Needs::$needs,
            id: $id,
            summary: $summary,
            query: $query,
            body: $body,
            answer: $answer,
            handler: |api, call| Box::pin($handler(api, call)),
        }),+]);
    };
}

routes! {
    GET "/api/plugins" Client "listPlugins" &[], None => "Plugins" plugins::list, "All installed plugins with their state.";
    GET "/api/plugins/check" Admin "listBadPlugins" &[], None => "BadPlugins" check::directory, "What is wrong with entries of the plugins directory.";
    POST "/api/plugins/check" Client "checkManifest" &["name", "strict"], Some("AnyObject") => "Checked" check::manifest, "Check a manifest, and say all that is wrong with it.";
    GET "/api/plugins/audit" Admin "listRecentAudit" &["recent", "plugin"], None => "AuditEntries" audit::recent, "The latest decisions about plugins, newest first.";
    GET "/api/plugins/kill-switch" Admin "getKillSwitch" &[], None => "KillSwitch" check::switches, "What has been switched off.";
    POST "/api/plugins/kill-switch" Admin "setKillSwitch" &[], Some("KillBody") => "KillSwitch" check::kill, "Switch a plugin, or all, off at once, or on again what was switched off here; it stays so when the host starts again.";
    GET "/api/plugins/{pluginId}" Client "getPlugin" &[], None => "PluginDetails" plugins::show, "One plugin, its manifest included.";
    POST "/api/plugins/{pluginId}/enable" Admin "enablePlugin" &[], None => "Switched" plugins::enable, "Enable a plugin and approve what it asks for; waits up to two seconds until it works.";
    POST "/api/plugins/{pluginId}/disable" Admin "disablePlugin" &[], None => "Switched" plugins::disable, "Disable a plugin; its routes are gone afterwards.";
    POST "/api/plugins/{pluginId}/reload" Admin "reloadPlugin" &[], None => "Switched" plugins::reload, "Load a plugin anew; the old one serves until the new one is ready.";
    GET "/api/plugins/{pluginId}/health" Client "getPluginHealth" &[], None => "Health" plugins::health, "Whether a plugin works.";
    GET "/api/plugins/{pluginId}/bundle.js" Client "getPluginBundle" &[], None => "Script" plugins::bundle, "The script that an enabled plugin brings for pages.";
    GET "/api/plugins/{pluginId}/logs" Admin "listPluginLogs" &["page", "page_size", "level", "since"], None => "LogPage" logs::list, "A plugin's log, newest first. With `follow=true` the last `lines` (50) and all that come after them, as server-sent events `log` and `missed`, until the token ends.";
    GET "/api/plugins/{pluginId}/events" Admin "listPluginEvents" &["page", "page_size"], None => "EventPage" events::list, "What happened in a plugin's life, newest first.";
    GET "/api/plugins/{pluginId}/settings" Admin "getPluginSettings" &[], None => "Settings" settings::show, "A plugin's settings; secret ones are never shown.";
    PUT "/api/plugins/{pluginId}/settings" Admin "changePluginSettings" &[], Some("SettingValues") => "Settings" settings::change, "Change settings; those that are not named stay, null restores the default.";
    POST "/api/plugins/{pluginId}/kv" Own "pluginValues" &[], Some("KvBody") => "KvAnswer" kv::act, "A plugin's values: `get`, `set`, `delete`, `list`, `cas`.";
    POST "/api/plugins/{pluginId}/token" Admin "makePluginToken" &[], None => "PluginToken" token::make, "Make a plugin's own token; it is shown once, and the former one ends.";
    DELETE "/api/plugins/{pluginId}/token" Admin "endPluginToken" &[], None => "Removed" token::end, "End a plugin's own token.";
    GET "/api/plugins/{pluginId}/grants" Admin "listGrants" &[], None => "Grants" grants::list, "What a plugin declares, and what was granted and denied.";
    PUT "/api/plugins/{pluginId}/grants" Admin "putGrant" &[], Some("GrantBody") => "Grants" grants::put, "Grant or deny a capability that the plugin declares, or with `all` every one; acts at the next call.";
    DELETE "/api/plugins/{pluginId}/grants" Admin "deleteGrant" &["capability"], None => "Removed" grants::delete, "Take back what was granted or denied of a capability; acts at the next call.";
    GET "/api/plugins/{pluginId}/audit" Admin "listPluginAudit" &["page", "page_size"], None => "AuditEntries" audit::of_plugin, "Decisions about a plugin in the last seven days, newest first.";
    GET "/api/consents" Admin "listConsents" &["plugin", "state"], None => "Consents" consents::list, "Questions that plugins put to people, newest first.";
    GET "/api/consents/{consentId}" Admin "getConsent" &[], None => "Consent" consents::show, "One question.";
    POST "/api/consents/{consentId}" Admin "decideConsent" &[], Some("DecisionBody") => "Consent" consents::decide, "Answer a question; what is not remembered holds for ten minutes.";
    GET "/api/tools" Client "listTools" &[], None => "Tools" calls::tools, "The tools that running plugins may offer.";
    POST "/api/tools/{tool}" Admin "callTool" &["mode"], Some("AnyObject") => "ToolAnswer" calls::call_tool, "Call a tool; the body is its arguments, which conform to its parameters (422). A plugin may block the call (403 `blocked_by_plugin`), and a name that several plugins offer is refused (409).";
    GET "/api/hooks" Client "listHooks" &[], None => "Hooks" calls::hooks, "The hooks that plugins can take part in.";
    POST "/api/hooks/{hook}" Admin "fireHook" &[], Some("HookBody") => "HookRound" calls::fire, "Fire a hook: the plugins that take part are asked, those whose answer counts in load order, and their verdict is answered.";
    GET "/api/capabilities" Admin "getPluginPolicy" &[], None => "PluginPolicy" check::policy, "What the operator's policy says about each capability of a plugin that declares it.";
    POST "/api/capabilities/check" Admin "checkCapability" &[], Some("AskBody") => "CapabilityDecision" check::capability, "What would be decided about a plugin's use of a capability now, and why.";
}

/// What web pages may set on a request.
pub(crate) const REQUEST_HEADERS: &str = "authorization, content-type";

/// The answer to `OPTIONS`: the methods of the path, or `OPTIONS` alone if there is no such path.
pub(crate) fn preflight(segments: &[String]) -> Response<Body> {
    let methods = match ROUTES.find("OPTIONS", segments) {
        Ok(Found::Options(methods)) => methods,
        _ => "OPTIONS".to_owned(),
    };
    response(cors::preflight(&methods, REQUEST_HEADERS))
}

/// Finds the route and runs its handler.
///
/// # Errors
/// 400, 403, 404, 405.
pub(crate) async fn ask(
    api: &PluginApi,
    method: &Method,
    segments: &[String],
    mut call: Call,
) -> Result<Response<Body>, Refusal> {
    let (route, values) = match ROUTES.find(method.as_str(), segments) {
        Ok(Found::Route(route, values)) => (route, values),
        Ok(Found::Options(methods)) => {
            return Ok(response(cors::preflight(&methods, REQUEST_HEADERS)));
        }
        Err(NoRoute::Method(allow)) => {
            return Err(Refusal::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "METHOD_NOT_ALLOWED",
                "this path knows other methods",
            )
            .with("allow", allow));
        }
        Err(NoRoute::Path) => {
            return Err(Refusal::new(
                StatusCode::NOT_FOUND,
                "NOT_FOUND",
                "nothing is at this path",
            ));
        }
    };
    values.iter().try_for_each(|value| name(value))?;
    route
        .needs
        .admit(&call.caller, values.first().map(String::as_str))?;
    call.values = values;
    if !route.changes() {
        return (route.handler)(api, call).await;
    }
    let (began, by) = (Instant::now(), call.caller.name());
    let plugin = call.values.first().filter(|_| route.names_plugin());
    let act = call.begin(Act::new(plugin.map(String::as_str), route.id));
    let outcome = (route.handler)(api, call).await;
    let act = act.lock().clone();
    let refused = outcome.as_ref().err().map(Refusal::message);
    api.store().audit(act.entry(by, refused, began.elapsed()));
    outcome
}

//! What an administrator does with plugins: enable, disable, reload, change grants and settings, and kill switches.
//!
//! Every method of [`Plugins`] here is durable or in effect when it returns.

pub(crate) mod enabled_file;
pub(crate) mod kill_switch;

use crate::{
    AdminError, Body, Caller, Plugins, State, Summary,
    authority::rules::{self, CurrentRules},
    dispatch::route,
    instances::jobs,
    lifecycle::{plugin::Plugin, routes::route_of},
    now_ms,
};
use anyhow::Result;
use bytes::Bytes;
use capability::{CapabilityUse, Policy};
use http::{Request, Response, StatusCode};
use limits::plugin as bounds;
use plugin_bus::ServerPlugins;
use plugin_store::PluginRecord;
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

impl Plugins {
    /// Enables a plugin and approves what its manifest requests now. Waits at most [`bounds::ENABLE_WAIT_MS`] for it to
    /// become active.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn enable(&self, id: &str) -> Result<Summary, AdminError> {
        let plugin = self.plugin(id)?;
        self.set_enabled(&plugin, true).await?;
        self.reconcile_within(bounds::ENABLE_WAIT_MS).await;
        self.write_file().await;
        Ok(self.host.summary(&plugin))
    }

    /// Stores whether a plugin is enabled, and stops it or makes it ready to be started.
    pub(super) async fn set_enabled(
        &self,
        plugin: &Arc<Plugin>,
        enabled: bool,
    ) -> Result<(), AdminError> {
        self.host.record(&plugin.id).await?;
        let approved = enabled.then(|| rules::approval(&plugin.package.load().manifest));
        let change = move |record: &mut PluginRecord| {
            record.enabled = enabled;
            record.reason = None;
            if approved.is_some() {
                record.approved.clone_from(&approved);
            }
        };
        self.host.store.change_record(&plugin.id, change).await?;
        if !enabled {
            plugin.disable(&self.host, None).await?;
        } else if plugin.state() == State::Disabled {
            plugin.enable(&self.host).await?;
        }
        Ok(())
    }

    /// Starts and stops what has to be, in the background; waits for it at most `wait_ms`, because another plugin may
    /// take its time to start or stop. A failure concerns one plugin, perhaps another one: it is logged, and
    /// [`Plugins::watch`] tries it again.
    pub(super) async fn reconcile_within(&self, wait_ms: u64) {
        let this = self.clone();
        let starting = tokio::spawn(async move {
            let _one = this.scanning.lock().await;
            this.start_all().await
        });
        match timeout(Duration::from_millis(wait_ms), starting).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!("plugins are not as they should be: {error:#}"),
            Ok(Err(error)) => tracing::error!("starting plugins broke off: {error}"),
            Err(_) => {
                tracing::info!("plugins take longer to start or stop; it goes on in the background")
            }
        }
    }

    /// Disables a plugin; its routes and handlers are gone when this returns.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn disable(&self, id: &str) -> Result<Summary, AdminError> {
        let plugin = self.plugin(id)?;
        self.set_enabled(&plugin, false).await?;
        self.write_file().await;
        self.reconcile_within(bounds::ENABLE_WAIT_MS).await;
        Ok(self.host.summary(&plugin))
    }

    /// Reloads a plugin from its files; the old instances serve until the new one is ready.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn reload(&self, id: &str) -> Result<Summary, AdminError> {
        let plugin = self.plugin(id)?;
        let (mut found, errors) = self.discover().await?;
        let package = found.remove(id).ok_or_else(|| {
            let error = plugin.error_of_entry(&errors);
            error.map_or(AdminError::NotFound, |error| {
                AdminError::Conflict(error.clone())
            })
        })?;
        match plugin.state() {
            State::Loaded => plugin
                .reload(&self.host, package)
                .await
                .map_err(|error| AdminError::Conflict(format!("{error:#}")))?,
            State::Disabled => {
                return Err(AdminError::Conflict(
                    "the plugin is disabled; enable it first".to_owned(),
                ));
            }
            _ => {
                plugin.unload(&self.host).await?;
                plugin.change(&self.host, package).await?;
                self.reconcile_within(bounds::ENABLE_WAIT_MS).await;
            }
        }
        Ok(self.host.summary(&plugin))
    }

    /// A plugin's stored record, created if it has none.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn record(&self, id: &str) -> Result<PluginRecord, AdminError> {
        self.plugin(id)?;
        Ok(self.host.record(id).await?)
    }

    /// Enabled plugins with grants that have no usable files in the plugins directory, by id: perhaps a backup was restored
    /// without them.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn missing(&self) -> Result<Vec<String>, AdminError> {
        let mut missing = Vec::new();
        for record in self.host.store.records().await? {
            let is_here = self.host.plugins.get(&record.id).is_some();
            if record.enabled && !is_here && !self.grants(&record.id).await?.is_empty() {
                missing.push(record.id);
            }
        }
        Ok(missing)
    }

    /// Ids that the operator's configuration names and no usable package in the plugins directory has: perhaps they are
    /// misspelt, and what is said about them has no effect.
    #[must_use]
    pub fn unknown(&self) -> Vec<String> {
        let named = self.host.options.named().into_iter();
        named
            .map(|id| id.as_str())
            .filter(|id| self.host.plugins.get(id).is_none())
            .map(str::to_owned)
            .collect()
    }

    async fn grants(&self, id: &str) -> Result<Vec<plugin_store::Grant>, AdminError> {
        Ok(self.host.store.grants(id).await?)
    }

    /// Applies a plugin's stored grants to every generation of it; they take effect at its next call. A plugin whose
    /// grants cannot be read or compiled is denied every call; in the second case it is blocked too.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn refresh_grants(&self, id: &str) -> Result<(), AdminError> {
        let plugin = self.plugin(id)?;
        let applying = plugin.applying().await;
        let stored = self.grants(id).await;
        let grants: Arc<[plugin_store::Grant]> = match &stored {
            Ok(grants) => grants.as_slice().into(),
            Err(_) => Arc::default(),
        };
        let mut is_broken = false;
        for pool in plugin.generations() {
            let manifest = &pool.shared.manifest;
            let mode = self.host.options.of(&manifest.id).mode;
            let rules = match CurrentRules::compile(manifest, grants.clone(), mode, now_ms()) {
                Ok(rules) if stored.is_ok() => rules,
                Ok(_) => CurrentRules::nothing(),
                Err(error) => {
                    tracing::warn!(plugin = id, "its rules do not compile: {error:#}");
                    is_broken = true;
                    CurrentRules::nothing()
                }
            };
            pool.shared.authority.replace(rules);
            pool.shared.note_moderation();
        }
        drop(applying);
        if plugin.is_missed() {
            self.note_moderation(&plugin).await;
        }
        if is_broken {
            self.reconcile_within(bounds::ENABLE_WAIT_MS).await;
        }
        stored.map(drop)
    }

    /// Applies a plugin's stored settings and notifies its instances.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn refresh_settings(&self, id: &str) -> Result<(), AdminError> {
        let plugin = self.plugin(id)?;
        let _applying = plugin.applying().await;
        let record = self.host.record(id).await?;
        for pool in plugin.generations() {
            pool.shared.settings.store(Arc::new(rules::settings(
                &pool.shared.manifest,
                &record.settings,
            )));
            let text = pool.shared.settings_text();
            pool.notify_all(None, || jobs::Job::Settings(text.clone()));
        }
        Ok(())
    }

    /// Notifies a plugin's instances that a value was changed over REST.
    pub fn data_changed(&self, id: &str, key: &str, by: &str, removed: bool) {
        if let Ok(plugin) = self.plugin(id)
            && let Some(pool) = plugin.pool.load_full()
        {
            pool.data_changed(None, key, by, removed, 0);
        }
    }

    /// Notifies the instances of a server that its requirements have changed, and ends those of plugins that do not act
    /// there any more; `snapshot` is the envelope.
    pub fn requirements_changed(&self, server_id: &str, plugins: &ServerPlugins, snapshot: &str) {
        for listener in self.host.dispatch.table().all() {
            if listener.acts_on(plugins) {
                listener.pool.requirements_changed(server_id, snapshot);
            } else {
                listener.pool.server_closed(server_id);
            }
        }
    }

    /// Ends the instances of a server that no connection is on.
    pub fn server_closed(&self, server_id: &str) {
        for listener in self.host.dispatch.table().all() {
            listener.pool.server_closed(server_id);
        }
    }

    /// The decision about a plugin's use of a capability now, without recording it.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn evaluate(
        &self,
        id: &str,
        asked: &CapabilityUse<'_>,
    ) -> Result<capability::Decision, AdminError> {
        let plugin = self.plugin(id)?;
        let grants = self.grants(id).await?;
        let policy = self.host.policy.load();
        let manifest = plugin.package.load().manifest.clone();
        let mode = self.host.options.of(&manifest.id).mode;
        let rules = rules::plugin_rules(&manifest, &grants, mode, now_ms())?;
        Ok(capability::decide(asked, &rules, &policy))
    }

    /// The operator's policy.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        self.host.policy.load_full()
    }

    /// Answers a request on a plugin's route: `segment` names the route, `path` is what follows it. Never fails: what
    /// goes wrong is an answer.
    pub async fn route(
        &self,
        segment: &str,
        path: &str,
        request: Request<Bytes>,
        caller: Caller,
    ) -> Response<Body> {
        let table = self.host.dispatch.table();
        if let Some(listener) = table.on_route(segment) {
            return route::forward(listener, path, request, caller).await;
        }
        let has_route = |plugin: &Arc<Plugin>| route_of(plugin).as_deref() == Some(segment);
        let owner = self.host.plugins.all().into_values().find(has_route);
        match owner.as_ref().map(|plugin| (plugin, plugin.state())) {
            // It became loaded after the table was read.
            Some((plugin, State::Failed | State::Loading | State::Ready | State::Loaded)) => {
                route::restarting(&plugin.id)
            }
            _ => route::refused(
                StatusCode::NOT_FOUND,
                "ROUTE_NOT_FOUND",
                &format!("no running plugin has the route /{segment}"),
                None,
            ),
        }
    }

    /// Makes an instance of a running plugin, asks nothing of it and lets it go. For measurements of what an instance
    /// costs.
    ///
    /// # Errors
    /// [`AdminError::Conflict`] where the plugin does not run or its component cannot start.
    pub async fn try_instance(&self, id: &str) -> Result<(), AdminError> {
        let pool = self
            .plugin(id)?
            .pool
            .load_full()
            .ok_or_else(|| AdminError::Conflict("the plugin is not running".to_owned()))?;
        pool.prepare()
            .await
            .map(drop)
            .map_err(|crash| AdminError::Conflict(crash.to_string()))
    }

    /// Stops all plugins.
    pub async fn stop(&self) {
        let plugins = self.host.plugins.all();
        let stopping = plugins.into_values().map(|plugin| {
            let host = self.host.clone();
            tokio::spawn(async move { plugin.unload(&host).await })
        });
        for stopped in stopping.collect::<Vec<_>>() {
            if let Ok(Err(error)) = stopped.await {
                tracing::warn!("a plugin was not stopped well: {error:#}");
            }
        }
    }
}

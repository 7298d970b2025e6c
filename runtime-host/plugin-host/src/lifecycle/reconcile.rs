//! Reconciles what runs with the plugins directory: finds, orders, checks, starts, blocks and stops plugins.
//!
//! One scan at a time; the result depends on the directory and the store, not on the order in which files appeared.

use crate::{
    Plugins,
    authority::rules,
    lifecycle::{
        catalog::{Owners, Package, discover},
        plugin::{Plugin, Writes},
        routes::{self, Conflict},
    },
    now_ms,
};
use anyhow::Result;
use capability::{CapabilityId, CapabilityUse};
use futures::StreamExt;
use limits::plugin as bounds;
use plugin_lifecycle::State;
use plugin_manifest::{
    Manifest, compatibility,
    order::{Candidate, resolve},
    parse_version,
};
use plugin_store::PluginRecord;
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

/// The host API that manifests speak of with `apiVersion`.
const API_VERSION: &str = "1.0.0";

impl Plugins {
    /// Scans the directory, starts new plugins, reloads changed ones and stops removed ones.
    ///
    /// # Errors
    /// The directory or the store cannot be used.
    pub async fn scan(&self) -> Result<()> {
        let _one = self.scanning.lock().await;
        let (found, errors) = self.discover().await?;
        let before = self.errors.swap(Arc::new(errors.clone()));
        for (name, error) in &errors {
            if before.get(name) != Some(error) {
                tracing::warn!(entry = name, "not a usable plugin: {error}");
            }
        }
        self.reconcile(found, &errors).await
    }

    /// The packages in the directory by the plugin's id, and the errors of its other entries.
    pub(crate) async fn discover(
        &self,
    ) -> Result<(BTreeMap<Arc<str>, Package>, BTreeMap<String, String>)> {
        let directory = self.host.directory.clone();
        let catalog = tokio::task::spawn_blocking(move || discover(&directory)).await??;
        let owners = self.owners().await?.lock();
        Ok(catalog.by_id(&owners, |id| self.host.plugins.get(id).is_some()))
    }

    /// The folders that ids belong to; read from the store once, then kept with what is found.
    async fn owners(&self) -> Result<&parking_lot::Mutex<Owners>> {
        let read = async {
            let records = self.host.store.records().await?;
            let owners = records.into_iter();
            let owners = owners.filter_map(|record| Some((record.id.into(), record.folder?)));
            anyhow::Ok(parking_lot::Mutex::new(owners.collect()))
        };
        self.owners.get_or_try_init(|| read).await
    }

    /// Keeps which folder an id belongs to from now on.
    async fn own(&self, package: &Package) -> Result<()> {
        let id = package.manifest.id.as_str();
        let before = {
            let mut owners = self.owners().await?.lock();
            owners.insert(id.into(), package.name.clone())
        };
        if before.as_ref() == Some(&package.name) {
            return Ok(());
        }
        if let Some(before) = before {
            tracing::warn!(
                plugin = id,
                "the plugin has moved from {before} to {}; it keeps its data and grants",
                package.name
            );
        }
        if self.host.store.record(id).await?.is_some() {
            let name = package.name.clone();
            let change = move |record: &mut PluginRecord| record.folder = Some(name.clone());
            self.host.store.change_record(id, change).await?;
        }
        Ok(())
    }

    /// Brings the running plugins in line with the packages that were found. A plugin whose entry is there with an error
    /// goes on as it is.
    ///
    /// # Errors
    /// As [`Plugins::start_all`].
    async fn reconcile(
        &self,
        found: BTreeMap<Arc<str>, Package>,
        errors: &BTreeMap<String, String>,
    ) -> Result<()> {
        let host = &self.host;
        let known = host.plugins.all();
        let mut failures = Failures::default();
        for (id, plugin) in &known {
            let error = plugin.error_of_entry(errors);
            plugin.set_unusable(error.filter(|_| !found.contains_key(id)));
            if found.contains_key(id) || error.is_some() {
                continue;
            }
            if failures.none(id, plugin.unload(host).await).is_some() {
                host.plugins.remove(id);
                tracing::info!(plugin = &**id, "plugin is gone");
            }
        }
        for (id, package) in found {
            failures.none(&id, self.own(&package).await);
            let done = match known.get(&id) {
                None => self.discovered(id.clone(), package).await,
                Some(plugin) if plugin.fingerprint() != package.fingerprint => {
                    self.changed(plugin, package).await
                }
                Some(_) => Ok(()),
            };
            failures.none(&id, done);
        }
        // Before anything is started: what was disabled while the host was down does not run.
        let edits = self.enabled_file.edits().await;
        self.apply(&edits).await;
        let started = self.start_all().await;
        self.settle(failures.result().and(started))
    }

    /// Notes whether the plugins are as they should be; if not, [`Plugins::watch`] reconciles them again.
    fn settle(&self, outcome: Result<()>) -> Result<()> {
        self.unsettled.store(outcome.is_err(), Ordering::Relaxed);
        outcome
    }

    async fn discovered(&self, id: Arc<str>, package: Package) -> Result<()> {
        let record = self.host.store.record(&id).await?;
        let is_new = record.is_none();
        let disabled = record
            .as_ref()
            .filter(|record| !record.enabled)
            .map(|record| record.reason.as_deref());
        tracing::info!(plugin = &*id, version = %package.manifest.version, enabled = disabled.is_none(), "plugin found");
        let number = record.as_ref().map_or(i64::MAX, |record| record.number);
        let plugin = Plugin::new(package, disabled, self.host.restart_ms, number);
        self.host.plugins.insert(plugin.clone());
        if is_new && self.enabled_file.disables(&id).await {
            // The entry was there before the plugin.
            self.set_enabled(&plugin, false).await?;
        }
        Ok(())
    }

    async fn changed(&self, plugin: &Arc<Plugin>, package: Package) -> Result<()> {
        tracing::info!(plugin = &*plugin.id, version = %package.manifest.version, "plugin has changed");
        if plugin.state() == State::Loaded && self.is_approved(&package.manifest).await? {
            if let Err(error) = plugin.reload(&self.host, package).await {
                tracing::warn!(plugin = &*plugin.id, "{error:#}");
            }
            return Ok(());
        }
        plugin.unload(&self.host).await?;
        plugin.change(&self.host, package).await
    }

    pub(super) async fn is_approved(&self, manifest: &Manifest) -> Result<bool> {
        let record = self.host.record(manifest.id.as_str()).await?;
        Ok(record
            .approved
            .as_deref()
            .is_none_or(|approved| rules::is_approved(manifest, approved)))
    }

    /// Resolves the set of plugins and starts those whose turn it is. If the owner of a route turns out not to be able to
    /// run, the plugins that wait for the route have their turn too.
    ///
    /// # Errors
    /// The first failure; it concerns one plugin, and the others are started all the same.
    pub(crate) async fn start_all(&self) -> Result<()> {
        let mut failures = Failures::default();
        self.resolve_order(&mut failures).await;
        loop {
            let conflicts = self.start_fit(&mut failures).await;
            // Each further round has one owner less.
            if !conflicts.iter().any(Conflict::is_over) {
                return self.settle(failures.result());
            }
        }
    }

    /// Starts those plugins that may run: all are prepared side by side, activated in load order, and told `ready` at the
    /// end. Returns those that did not get their route.
    async fn start_fit(&self, failures: &mut Failures) -> Vec<Conflict> {
        let host = &self.host;
        let mut fit = Vec::new();
        for plugin in host.plugins.in_order() {
            let outcome = self.is_fit(&plugin).await;
            if failures.none(&plugin.id, outcome) == Some(true) {
                fit.push(plugin);
            }
        }
        let conflicts = routes::conflicts(&fit);
        for conflict in &conflicts {
            let (plugin, reason) = (&conflict.plugin, conflict.reason());
            failures.none(&plugin.id, self.block(plugin, &reason).await);
        }
        let has_route = |plugin: &Plugin| conflicts.iter().all(|one| one.plugin.id != plugin.id);
        fit.retain(|plugin| has_route(plugin));
        let mut turns = Vec::new();
        for plugin in fit {
            if failures.none(&plugin.id, self.has_turn(&plugin).await) == Some(true) {
                self.note_moderation(&plugin).await;
                turns.push(plugin);
            }
        }
        // From here on they are missed until they run.
        host.commit();
        let mut preparing = Vec::new();
        for plugin in turns {
            let (host, id) = (host.clone(), plugin.id.clone());
            let preparing_one = tokio::spawn(async move {
                plugin.prepare(&host).await?;
                anyhow::Ok(plugin)
            });
            preparing.push((id, preparing_one));
        }
        let mut prepared = Vec::new();
        for (id, preparing) in preparing {
            let outcome = preparing.await.map_err(anyhow::Error::from).flatten();
            prepared.extend(failures.none(&id, outcome));
        }
        // One after the other, in load order; written down together.
        let mut writes = Writes::new();
        for plugin in &prepared {
            failures.none(&plugin.id, plugin.activate(host, &mut writes).await);
        }
        writes.collect::<()>().await;
        prepared.iter().for_each(|plugin| plugin.notify_ready());
        host.commit();
        conflicts
    }

    /// Notes whether a plugin that does not run may moderate. What cannot be evaluated could have been allowed.
    pub(crate) async fn note_moderation(&self, plugin: &Plugin) {
        let asked = CapabilityUse::any(CapabilityId::MessagesModerate);
        let may = self.evaluate(&plugin.id, &asked).await;
        let may = may.map_or(true, |decision| decision.is_allowed());
        plugin.moderates.store(may, Ordering::Relaxed);
    }

    /// Whether nothing but a route may keep the plugin from running; otherwise it is blocked.
    async fn is_fit(&self, plugin: &Arc<Plugin>) -> Result<bool> {
        let reason = self.blocking_reason(plugin).await?;
        if let Some(reason) = &reason {
            self.block(plugin, reason).await?;
        }
        Ok(reason.is_none())
    }

    /// Whether a plugin that may run is to be started now.
    async fn has_turn(&self, plugin: &Arc<Plugin>) -> Result<bool> {
        if plugin.state() == State::Blocked {
            // The reason may no longer hold.
            let package = Package::clone(&plugin.package.load());
            plugin.change(&self.host, package).await?;
        }
        Ok(matches!(
            plugin.state(),
            State::Discovered | State::Unloaded
        ))
    }

    /// Computes the load order of the plugins that are not disabled, and blocks those whose relations to others cannot
    /// be satisfied.
    async fn resolve_order(&self, failures: &mut Failures) {
        let plugins = self.host.plugins.all();
        let manifests: Vec<Arc<Manifest>> = plugins
            .values()
            .filter(|plugin| plugin.state() != State::Disabled)
            .map(|plugin| plugin.package.load().manifest.clone())
            .collect();
        let candidates = manifests.iter();
        let resolution = resolve(candidates.map(|manifest| Candidate::from(&**manifest)));
        let order = resolution.order.iter().map(|id| id.as_str().into());
        self.host.plugins.set_order(order.collect());
        for (id, blocks) in &resolution.blocked {
            let reasons: Vec<String> = blocks
                .iter()
                .map(|block| format!("{}: {block}", block.code()))
                .collect();
            if let Some(plugin) = plugins.get(id.as_str()) {
                failures.none(&plugin.id, self.block(plugin, &reasons.join("; ")).await);
            }
        }
    }

    /// The reason why a plugin must not run, besides its dependencies and its route.
    async fn blocking_reason(&self, plugin: &Arc<Plugin>) -> Result<Option<String>> {
        let manifest = plugin.package.load().manifest.clone();
        let policy = self.host.policy.load_full();
        if let Some(by) = &policy.kill.disable {
            return Ok(Some(format!("kill_switch: plugins are disabled via {by}")));
        }
        if policy.kill.kills(manifest.id.as_str()) {
            return Ok(Some(
                "kill_switch: the operator has switched it off".to_owned(),
            ));
        }
        if let Some(reason) = self.host.options.excludes(&manifest.id) {
            return Ok(Some(reason.to_owned()));
        }
        if let Some(reasons) = incompatible(&manifest)? {
            return Ok(Some(reasons));
        }
        let grants = self.host.store.grants(&plugin.id).await?;
        let mode = self.host.options.of(&manifest.id).mode;
        if let Err(error) = rules::plugin_rules(&manifest, &grants, mode, now_ms()) {
            return Ok(Some(format!("bad_rule: {error:#}")));
        }
        if !self.is_approved(&manifest).await? {
            return Ok(Some(
                "approval_needed: it asks for more than was approved; enable it to approve"
                    .to_owned(),
            ));
        }
        Ok(None)
    }

    /// Blocks a plugin, stopping it first where it runs.
    async fn block(&self, plugin: &Arc<Plugin>, reason: &str) -> Result<()> {
        plugin.unload(&self.host).await?;
        match plugin.state() {
            State::Disabled => Ok(()),
            State::Blocked if plugin.status.load().reason.as_deref() == Some(reason) => Ok(()),
            State::Blocked | State::Failed => {
                plugin
                    .change(&self.host, Package::clone(&plugin.package.load()))
                    .await?;
                plugin.block(&self.host, reason).await
            }
            _ => plugin.block(&self.host, reason).await,
        }
    }

    /// Scans the directory at an interval, forever.
    pub async fn watch(self) {
        loop {
            self.reconcile_file().await;
            tokio::time::sleep(Duration::from_millis(bounds::DISCOVERY_INTERVAL_MS)).await;
            if let Err(error) = self.scan_if_changed().await {
                tracing::warn!("the plugins directory cannot be scanned: {error:#}");
            }
        }
    }

    /// Scans, and reconciles only if something differs.
    async fn scan_if_changed(&self) -> Result<()> {
        let (found, errors) = self.discover().await?;
        let known = self.host.plugins.all();
        let known: BTreeMap<_, _> = known
            .iter()
            .filter(|(id, plugin)| {
                found.contains_key(*id) || plugin.error_of_entry(&errors).is_none()
            })
            .map(|(id, plugin)| (id.clone(), plugin.fingerprint()))
            .collect();
        let seen: BTreeMap<_, _> = found
            .into_iter()
            .map(|(id, package)| (id, package.fingerprint))
            .collect();
        let settled = !self.unsettled.load(Ordering::Relaxed);
        if settled && known == seen && **self.errors.load() == errors {
            Ok(())
        } else {
            self.scan().await
        }
    }
}

/// What failed while the plugins were reconciled. A failure concerns one plugin and never ends the loop over all.
#[derive(Default)]
struct Failures(Option<anyhow::Error>);

impl Failures {
    /// The outcome for one plugin; an error is logged and kept.
    fn none<T>(&mut self, id: &str, outcome: Result<T>) -> Option<T> {
        outcome
            .inspect_err(|error| tracing::warn!(plugin = id, "{error:#}"))
            .map_err(|error| self.0.get_or_insert(error.context(id.to_owned())))
            .ok()
    }

    fn result(self) -> Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}

/// Why this host's version or API does not fit the plugin's manifest, whether the plugin runs here or not.
fn incompatible(manifest: &Manifest) -> Result<Option<String>> {
    let verdict = compatibility(
        manifest,
        &parse_version(env!("CARGO_PKG_VERSION"))?,
        &parse_version(API_VERSION)?,
    );
    let reasons: Vec<String> = verdict
        .reasons
        .iter()
        .map(|reason| format!("{}: {reason}", reason.code()))
        .collect();
    Ok((!reasons.is_empty()).then(|| reasons.join("; ")))
}

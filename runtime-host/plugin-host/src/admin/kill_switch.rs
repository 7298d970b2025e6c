//! Kill switches that are engaged while the host runs. They are durable; one that the environment sets cannot be
//! released here.

use crate::{AdminError, Plugins, now_ms};
use anyhow::Result;
use capability::{KillSwitches, Policy, TooManyKilled, switch_name};
use limits::plugin as bounds;
use std::sync::Arc;

/// Why a switch was not changed.
#[derive(Debug, thiserror::Error)]
pub enum KillSwitchError {
    /// The environment sets it.
    #[error("this kill switch is set by the host's environment; unset it there and restart")]
    Elsewhere,
    /// Too many plugins have a switch of their own.
    #[error(transparent)]
    TooMany(#[from] TooManyKilled),
    /// There is no such plugin, or something failed.
    #[error(transparent)]
    Admin(#[from] AdminError),
}

impl Plugins {
    /// Engages the stored switches; to be called before anything is started.
    ///
    /// # Errors
    /// The store cannot be used.
    pub async fn restore_kill_switches(&self) -> Result<()> {
        let mut policy = Policy::clone(&self.policy());
        for switch in self.host.store.switches().await? {
            engage(&mut policy.kill, switch.plugin.as_deref(), &switch.by)?;
        }
        self.host.policy.store(Arc::new(policy));
        Ok(())
    }

    /// Engages or releases the kill switch of a plugin, or of all; durable when this returns.
    ///
    /// An engaged switch acts before anything is waited for: every call of the plugin into the host is denied, it is
    /// offered nothing more, and its running calls end at their next tick or wait. Its state follows; that is waited for
    /// at most [`bounds::ENABLE_WAIT_MS`].
    ///
    /// # Errors
    /// [`KillSwitchError`]. A switch that could not be stored stays engaged until the host ends.
    pub async fn set_kill_switch(
        &self,
        plugin: Option<&str>,
        engaged: bool,
        by: &str,
    ) -> Result<(), KillSwitchError> {
        {
            let _one = self.switching.lock().await;
            self.switch(plugin, engaged, by).await?;
        }
        self.reconcile_within(bounds::ENABLE_WAIT_MS).await;
        Ok(())
    }

    /// Changes and stores the switch, and ends what it kills.
    async fn switch(
        &self,
        plugin: Option<&str>,
        engaged: bool,
        by: &str,
    ) -> Result<(), KillSwitchError> {
        let mut policy = Policy::clone(&self.policy());
        let fixed = &self.host.environment_switches;
        match (plugin, engaged) {
            (plugin, true) => {
                plugin.map_or(Ok(()), |id| self.get(id).map(drop))?;
                engage(&mut policy.kill, plugin, by)?;
                self.host.policy.store(Arc::new(policy.clone()));
                self.end_killed();
            }
            (Some(id), false) if fixed.kills(id) => return Err(KillSwitchError::Elsewhere),
            (Some(id), false) => policy.kill.revive(id),
            (None, false) if fixed.disable.is_some() => return Err(KillSwitchError::Elsewhere),
            (None, false) => policy.kill.disable = None,
        }
        let name = plugin.map(switch_name);
        let by = engaged.then_some(by);
        let kept = self.host.store.switch(name.as_deref(), by, now_ms()).await;
        kept.map_err(AdminError::from)?;
        self.host.policy.store(Arc::new(policy));
        Ok(())
    }

    /// Ends every generation of each plugin that a switch of the policy kills.
    fn end_killed(&self) {
        let policy = self.host.policy.load();
        for plugin in self.host.plugins.all().values() {
            if policy.kill.disable.is_some() || policy.kill.kills(&plugin.id) {
                plugin.generations().iter().for_each(|pool| pool.end());
            }
        }
        self.host.commit();
    }
}

fn engage(kill: &mut KillSwitches, plugin: Option<&str>, by: &str) -> Result<(), TooManyKilled> {
    match plugin {
        Some(id) => kill.kill(id),
        None => {
            kill.disable.get_or_insert_with(|| by.into());
            Ok(())
        }
    }
}

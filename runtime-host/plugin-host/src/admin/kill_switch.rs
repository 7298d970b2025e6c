//! Kill switches that are set while the host runs. They are durable; what the environment has switched off cannot be
//! switched on here.

use crate::{AdminError, Plugins, now_ms};
use anyhow::Result;
use capability::{KillSwitches, Policy, TooManyKilled, switch_name};
use std::sync::Arc;

/// Why a switch stays where it is.
#[derive(Debug, thiserror::Error)]
pub enum KillSwitchError {
    /// The environment has switched it off.
    #[error("the host's environment has switched this off; change it there and restart")]
    Elsewhere,
    /// Too many plugins are switched off one by one.
    #[error(transparent)]
    TooMany(#[from] TooManyKilled),
    /// There is no such plugin, or something failed.
    #[error(transparent)]
    Admin(#[from] AdminError),
}

impl Plugins {
    /// Puts the switches in place that were thrown before the last end of the host; to be called before anything is
    /// started.
    ///
    /// # Errors
    /// The store cannot be used.
    pub async fn restore_kill_switches(&self) -> Result<()> {
        let mut policy = Policy::clone(&self.policy());
        for switch in self.host.store.switches().await? {
            turn_off(&mut policy.kill, switch.plugin.as_deref(), &switch.by)?;
        }
        self.host.policy.store(Arc::new(policy));
        Ok(())
    }

    /// Switches a plugin, or all of them, off or on again; durable when this returns, and acting at the next call.
    ///
    /// # Errors
    /// [`KillSwitchError`].
    pub async fn set_kill_switch(
        &self,
        plugin: Option<&str>,
        off: bool,
        by: &str,
    ) -> Result<(), KillSwitchError> {
        let _one = self.switching.lock().await;
        let mut policy = Policy::clone(&self.policy());
        let fixed = &self.host.switched_off;
        match (plugin, off) {
            (plugin, true) => {
                plugin.map_or(Ok(()), |id| self.get(id).map(drop))?;
                turn_off(&mut policy.kill, plugin, by)?;
            }
            (Some(id), false) if fixed.kills(id) => return Err(KillSwitchError::Elsewhere),
            (Some(id), false) => policy.kill.revive(id),
            (None, false) if fixed.disable.is_some() => return Err(KillSwitchError::Elsewhere),
            (None, false) => policy.kill.disable = None,
        }
        let name = plugin.map(switch_name);
        let kept = self
            .host
            .store
            .switch(name.as_deref(), off.then_some(by), now_ms())
            .await;
        kept.map_err(|error| AdminError::Failed(error.into()))?;
        self.set_policy(policy).await.map_err(AdminError::Failed)?;
        Ok(())
    }
}

fn turn_off(kill: &mut KillSwitches, plugin: Option<&str>, by: &str) -> Result<(), TooManyKilled> {
    match plugin {
        Some(id) => kill.kill(id),
        None => {
            kill.disable.get_or_insert_with(|| by.into());
            Ok(())
        }
    }
}

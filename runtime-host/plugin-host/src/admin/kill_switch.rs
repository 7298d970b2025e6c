//! Kill switches that are engaged while the host runs. They are durable; one that the environment sets cannot be
//! released here.

use crate::{AdminError, Plugins, now_ms};
use anyhow::Result;
use capability::{KillSwitches, Policy, TooManyKilled, switch_name};
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

    /// Engages or releases the kill switch of a plugin, or of all; durable when this returns, and in effect at the next
    /// call.
    ///
    /// # Errors
    /// [`KillSwitchError`].
    pub async fn set_kill_switch(
        &self,
        plugin: Option<&str>,
        engaged: bool,
        by: &str,
    ) -> Result<(), KillSwitchError> {
        let _one = self.switching.lock().await;
        let mut policy = Policy::clone(&self.policy());
        let fixed = &self.host.environment_switches;
        match (plugin, engaged) {
            (plugin, true) => {
                plugin.map_or(Ok(()), |id| self.get(id).map(drop))?;
                engage(&mut policy.kill, plugin, by)?;
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
        self.set_policy(policy).await.map_err(AdminError::Failed)?;
        Ok(())
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

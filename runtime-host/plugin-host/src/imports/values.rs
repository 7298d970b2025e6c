//! Imports for stored values and secrets. The plugin's id is the namespace, so a plugin reaches only its own.

use super::{StoreData, error};
use crate::bindings::jackfield::plugin::{
    kv, secrets,
    types::{ErrorCode, PluginError},
};
use bytes::Bytes;
use capability::{CapabilityId, CapabilityUse, Target};
use plugin_store::Change;

impl StoreData {
    /// `storage.kv` and `storage.local` open the same store.
    fn values_capability(&self) -> CapabilityId {
        match self.shared.manifest.declares(CapabilityId::StorageKv) {
            true => CapabilityId::StorageKv,
            false => CapabilityId::StorageLocal,
        }
    }

    async fn authorize_values(&mut self, key: &str) -> Result<(), PluginError> {
        self.authorize(self.values_capability(), Target::name(key))
            .await
    }

    /// Whether the plugin may know of a key that a call found.
    fn may_see(&self, key: &str) -> bool {
        let asked = CapabilityUse::new(self.values_capability(), Target::name(key));
        self.shared.authority.decide(&asked).is_allowed()
    }

    /// Notifies the plugin's other instances that a value has changed.
    fn changed(&self, key: &str, removed: bool) {
        if let Some(pool) = self.shared.pool.upgrade() {
            pool.data_changed(Some(self.number), key, "instance", removed, self.hops);
        }
    }
}

impl kv::Host for StoreData {
    async fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, PluginError>> {
        if let Err(refused) = self.authorize_values(&key).await {
            return Ok(Err(refused));
        }
        let value = self.shared.store.kv_get(&self.shared.id, &key).await;
        Ok(value
            .map(|value| value.map(Vec::from))
            .map_err(|failed| self.not_stored(&failed)))
    }

    async fn set(
        &mut self,
        key: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), PluginError>> {
        self.apply(vec![kv::Change::Set((key, value))]).await
    }

    async fn delete(&mut self, key: String) -> wasmtime::Result<Result<bool, PluginError>> {
        if let Err(refused) = self.authorize_values(&key).await {
            return Ok(Err(refused));
        }
        let removed = self.shared.store.kv_delete(&self.shared.id, &key).await;
        if matches!(removed, Ok(true)) {
            self.changed(&key, true);
        }
        Ok(removed.map_err(|failed| self.not_stored(&failed)))
    }

    async fn compare_and_set(
        &mut self,
        key: String,
        expected: Option<Vec<u8>>,
        value: Option<Vec<u8>>,
    ) -> wasmtime::Result<Result<bool, PluginError>> {
        if let Err(refused) = self.authorize_values(&key).await {
            return Ok(Err(refused));
        }
        if let Err(refused) = self.charge_bytes(value.as_ref().map_or(0, Vec::len)) {
            return Ok(Err(refused));
        }
        let removed = value.is_none();
        let (expected, value) = (expected.map(Bytes::from), value.map(Bytes::from));
        let done = self
            .shared
            .store
            .kv_compare_and_set(&self.shared.id, &key, expected, value)
            .await;
        if matches!(done, Ok(true)) {
            self.changed(&key, removed);
        }
        Ok(done.map_err(|failed| self.not_stored(&failed)))
    }

    async fn apply(
        &mut self,
        changes: Vec<kv::Change>,
    ) -> wasmtime::Result<Result<(), PluginError>> {
        let mut writes = Vec::with_capacity(changes.len());
        let mut keys = Vec::with_capacity(changes.len());
        for change in changes {
            let (key, value) = match change {
                kv::Change::Set((key, value)) => (key, Some(value)),
                kv::Change::Delete(key) => (key, None),
            };
            if let Err(refused) = self.authorize_values(&key).await {
                return Ok(Err(refused));
            }
            keys.push((key.clone(), value.is_none()));
            writes.push(match value {
                Some(value) => Change::Set(key, value.into()),
                None => Change::Delete(key),
            });
        }
        let bytes = writes
            .iter()
            .map(|write| {
                if let Change::Set(_, value) = write {
                    value.len()
                } else {
                    0
                }
            })
            .sum();
        if let Err(refused) = self.charge_bytes(bytes) {
            return Ok(Err(refused));
        }
        let done = self.shared.store.kv_apply(&self.shared.id, writes).await;
        if done.is_ok() {
            keys.iter()
                .for_each(|(key, removed)| self.changed(key, *removed));
        }
        Ok(done.map_err(|failed| self.not_stored(&failed)))
    }

    async fn add(&mut self, key: String, by: i64) -> wasmtime::Result<Result<i64, PluginError>> {
        if let Err(refused) = self.authorize_values(&key).await {
            return Ok(Err(refused));
        }
        let sum = self.shared.store.kv_add(&self.shared.id, &key, by).await;
        if sum.is_ok() {
            self.changed(&key, false);
        }
        Ok(sum.map_err(|failed| self.not_stored(&failed)))
    }

    async fn keys(
        &mut self,
        prefix: String,
        cursor: Option<String>,
        keys_max: u32,
    ) -> wasmtime::Result<Result<kv::Page, PluginError>> {
        if let Err(refused) = self.authorize_values(&prefix).await {
            return Ok(Err(refused));
        }
        let page = self
            .shared
            .store
            .kv_keys(
                &self.shared.id,
                &prefix,
                cursor.as_deref(),
                keys_max as usize,
            )
            .await;
        let visible = |mut page: plugin_store::KeyPage| {
            page.keys.retain(|key| self.may_see(key));
            kv::Page {
                keys: page.keys,
                next: page.next,
            }
        };
        Ok(page.map(visible).map_err(|failed| self.not_stored(&failed)))
    }
}

impl secrets::Host for StoreData {
    async fn get(
        &mut self,
        name: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, PluginError>> {
        if let Err(refused) = self
            .authorize(CapabilityId::SecretsRead, Target::name(&name))
            .await
        {
            return Ok(Err(refused));
        }
        let secret = self.shared.store.secret_get(&self.shared.id, &name).await;
        Ok(secret
            .map(|secret| secret.map(|secret| secret.to_vec()))
            .map_err(|failed| self.not_stored(&failed)))
    }

    async fn set(
        &mut self,
        name: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), PluginError>> {
        if let Err(refused) = self
            .authorize(CapabilityId::SecretsWrite, Target::name(&name))
            .await
        {
            return Ok(Err(refused));
        }
        if value.is_empty() {
            return Ok(Err(error(
                ErrorCode::InvalidArgument,
                "value is empty; remove the secret instead",
            )));
        }
        if let Err(refused) = self.charge_bytes(value.len()) {
            return Ok(Err(refused));
        }
        Ok(self
            .shared
            .store
            .secret_set(&self.shared.id, &name, &value)
            .await
            .map_err(|failed| self.not_stored(&failed)))
    }

    async fn delete(&mut self, name: String) -> wasmtime::Result<Result<bool, PluginError>> {
        if let Err(refused) = self
            .authorize(CapabilityId::SecretsWrite, Target::name(&name))
            .await
        {
            return Ok(Err(refused));
        }
        Ok(self
            .shared
            .store
            .secret_delete(&self.shared.id, &name)
            .await
            .map_err(|failed| self.not_stored(&failed)))
    }
}

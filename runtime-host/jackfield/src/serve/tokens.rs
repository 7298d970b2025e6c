//! Verification of tokens: with the keys of the data directory, a shared secret, and a key set that is fetched again and again.

use crate::{config::Config, directory_transport, keys};
use anyhow::{Context as _, Result};
use gateway::Hub;
use identity::{Expectations, KeySet, PublicKey, SharedSecret, Verifier};
use limits::identity::{KEY_SET_BYTES_MAX, KEY_SET_LIFETIME_SECONDS, KEY_SET_RETRY_SECONDS};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// What tokens are verified with.
#[derive(Clone)]
pub(super) struct TokenKeys {
    pub(super) config: Config,
    pub(super) data: PathBuf,
}

impl TokenKeys {
    /// A verifier with the keys that are known, and those of the `fetched` set.
    ///
    /// # Errors
    /// A key file is damaged, or the shared secret is too short.
    pub(super) fn verifier(&self, fetched: Option<&KeySet>) -> Result<Verifier> {
        let identity = &self.config.identity;
        let some = |text: &String| (!text.is_empty()).then(|| text.clone());
        let mut verifier = Verifier::new(Expectations {
            audience: some(&identity.token_audience),
            issuer: some(&identity.token_issuer),
            key_set_roles: identity.jwks_roles,
        });
        for key in self.public_keys()? {
            verifier = verifier.with_public_key(&key);
        }
        if !identity.hs256_secret.is_empty() {
            let secret =
                SharedSecret::new(&identity.hs256_secret).context("identity.hs256_secret")?;
            verifier = verifier.with_secret(&secret);
        }
        Ok(match fetched {
            Some(set) => verifier.with_key_set(set),
            None => verifier,
        })
    }

    fn public_keys(&self) -> Result<Vec<PublicKey>> {
        Ok(PublicKey::parse_list(&keys::public_keys(&self.data)?)?)
    }

    /// Fetches the key set of `identity.jwks_url` again and again: when it is old, when the last attempt has failed, and when
    /// a token names a key that it does not have. If that fails, the last set stays in use. Does nothing without a URL.
    pub(super) async fn follow(self, hub: Arc<Hub>) {
        let Some(set) = hub.key_set() else {
            return;
        };
        loop {
            let fetched = self.fetch().await;
            set.tried(fetched.is_ok(), Hub::now_ms());
            match fetched {
                Ok(verifier) => {
                    hub.set_verifier(verifier);
                    let lifetime = Duration::from_secs(KEY_SET_LIFETIME_SECONDS);
                    let _ = tokio::time::timeout(lifetime, set.wanted()).await;
                }
                Err(error) => {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "identity.jwks_url: the key set cannot be fetched"
                    );
                    tokio::time::sleep(Duration::from_secs(KEY_SET_RETRY_SECONDS)).await;
                }
            }
        }
    }

    async fn fetch(&self) -> Result<Verifier> {
        let url = &self.config.identity.jwks_url;
        let bytes = directory_transport::fetch(url, KEY_SET_BYTES_MAX).await?;
        self.verifier(Some(&KeySet::parse(&bytes)?))
    }
}

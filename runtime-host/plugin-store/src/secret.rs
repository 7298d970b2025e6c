//! Secrets of plugins, encrypted with a key in a file of its own beside the database.
//!
//! A sealed secret opens only under the plugin and the name that it was sealed for, so a row that is moved inside the
//! database opens nowhere. It is no protection against a program that can read the key file or the memory of the
//! process.

use crate::{PluginStore, StoreError, file::Unusable, text};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use limits::plugin_store::{SECRET_BYTES_MAX, SECRETS_PER_PLUGIN_MAX};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom, SystemRandom},
};
use rusqlite::{Connection, OptionalExtension, params};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

/// Name of the key file, in the folder of the database.
pub const SECRETS_KEY_FILE: &str = "secrets-key";

const KEY_BYTES: usize = 32;
/// A text sealed with the key, by which a wrong key is told before a secret is asked for.
const CHECK: &str = "secrets-key-check";

/// The key.
pub(crate) struct Vault {
    key: LessSafeKey,
    random: SystemRandom,
}

impl Vault {
    /// Reads the key file of the database at `database`, or makes it for a database that knows no key yet.
    ///
    /// # Errors
    /// The file is missing, no key or not the key of this database.
    pub(crate) fn open(connection: &Connection, database: &Path) -> Result<Self, StoreError> {
        let path = database.with_file_name(SECRETS_KEY_FILE);
        let sql = "SELECT value FROM meta WHERE name = ?1";
        let check: Option<Vec<u8>> = connection
            .query_row(sql, [CHECK], |row| row.get(0))
            .optional()?;
        let refused = |code, cause: &str| {
            let anew =
                "to go on without the secrets, delete all rows of its tables secrets and meta";
            StoreError::Unusable(Unusable::new(
                database,
                code,
                "needs the key of its secrets",
                format!("{} {cause}; {anew}", path.display()),
            ))
        };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound && check.is_none() => make(&path)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(refused(
                    "SECRETS_KEY_MISSING",
                    "is gone, restore it from a backup",
                ));
            }
            Err(error) => {
                return Err(refused(
                    "SECRETS_KEY_MISSING",
                    &format!("cannot be read: {error}"),
                ));
            }
        };
        let key = URL_SAFE_NO_PAD
            .decode(text.trim())
            .ok()
            .filter(|key| key.len() == KEY_BYTES);
        let key = key.and_then(|key| UnboundKey::new(&AES_256_GCM, &key).ok());
        let key = key.ok_or_else(|| refused("SECRETS_KEY_WRONG", "is no key"))?;
        let vault = Self {
            key: LessSafeKey::new(key),
            random: SystemRandom::new(),
        };
        match check {
            Some(sealed) => {
                vault
                    .unseal("", CHECK, sealed)
                    .map_err(|_| refused("SECRETS_KEY_WRONG", "is the key of another database"))?;
            }
            None => {
                let sealed = vault.seal("", CHECK, b"")?;
                connection.execute(
                    "INSERT INTO meta (name, value) VALUES (?1, ?2)",
                    params![CHECK, sealed],
                )?;
            }
        }
        Ok(vault)
    }

    /// Nonce, ciphertext and tag.
    fn seal(&self, plugin: &str, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(|_| no_randomness())?;
        let mut body = value.to_vec();
        let tag = self.key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            place(plugin, name),
            &mut body,
        );
        tag.map_err(|_| StoreError::TooLarge {
            field: "secret",
            max: SECRET_BYTES_MAX,
        })?;
        Ok([nonce.as_slice(), &body].concat())
    }

    fn unseal(&self, plugin: &str, name: &str, mut sealed: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        let (nonce, body) = sealed
            .split_first_chunk_mut::<NONCE_LEN>()
            .ok_or(StoreError::SecretUnreadable)?;
        let opened = self.key.open_in_place(
            Nonce::assume_unique_for_key(*nonce),
            place(plugin, name),
            body,
        );
        opened
            .map(|value| value.to_vec())
            .map_err(|_| StoreError::SecretUnreadable)
    }
}

/// What a secret is bound to. Neither part can hold a NUL, so no two places are the same.
fn place(plugin: &str, name: &str) -> Aad<Vec<u8>> {
    Aad::from([plugin, name].join("\0").into_bytes())
}

pub(crate) fn no_randomness() -> StoreError {
    StoreError::Database {
        code: "NO_RANDOMNESS",
        advice: "cannot be used",
        cause: "the system gives no random bytes".into(),
    }
}

/// Random bytes from the system.
///
/// # Errors
/// The system has none.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| no_randomness())?;
    Ok(bytes)
}

/// Makes a key file, whole or not at all, readable for its owner alone.
fn make(path: &Path) -> Result<String, StoreError> {
    let text = URL_SAFE_NO_PAD.encode(random::<KEY_BYTES>()?);
    let aside: PathBuf = path.with_extension("new");
    let written = (|| -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&aside)?;
        writeln!(file, "{text}")?;
        file.sync_all()?;
        fs::rename(&aside, path)?;
        File::open(
            path.parent()
                .filter(|folder| !folder.as_os_str().is_empty())
                .unwrap_or(Path::new(".")),
        )?
        .sync_all()
    })();
    written.map_err(|error| Unusable::beside(path, &error))?;
    Ok(text)
}

impl PluginStore {
    /// A secret of a plugin.
    ///
    /// # Errors
    /// A name that breaks its rule, [`StoreError::SecretUnreadable`], a database that fails.
    pub async fn secret_get(
        &self,
        plugin: &str,
        name: &str,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        check(plugin, name)?;
        let (wanted_plugin, wanted) = (plugin.to_owned(), name.to_owned());
        let find = move |connection: &Connection| {
            let mut statement = connection
                .prepare_cached("SELECT sealed FROM secrets WHERE plugin = ?1 AND name = ?2")?;
            Ok(statement
                .query_row([wanted_plugin, wanted], |row| row.get::<_, Vec<u8>>(0))
                .optional()?)
        };
        let sealed = self.readers().read(find).await?;
        sealed
            .map(|sealed| self.vault().unseal(plugin, name, sealed))
            .transpose()
    }

    /// Keeps a secret of at most [`SECRET_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// A name or value that breaks its rule, more than [`SECRETS_PER_PLUGIN_MAX`] secrets, a database that fails.
    pub async fn secret_set(
        &self,
        plugin: &str,
        name: &str,
        value: &[u8],
    ) -> Result<(), StoreError> {
        check(plugin, name)?;
        text::at_most("secret", value.len(), SECRET_BYTES_MAX)?;
        let sealed = self.vault().seal(plugin, name, value)?;
        let (plugin, name) = (plugin.to_owned(), name.to_owned());
        let keep = move |connection: &Connection| {
            let sql = "INSERT INTO secrets (plugin, name, sealed) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET sealed = excluded.sealed";
            connection
                .prepare_cached(sql)?
                .execute(params![plugin, name, sealed])?;
            let sql = "SELECT count(*) FROM secrets WHERE plugin = ?1";
            let count: i64 = connection
                .prepare_cached(sql)?
                .query_row([&plugin], |row| row.get(0))?;
            if count > SECRETS_PER_PLUGIN_MAX as i64 {
                return Err(StoreError::QuotaExceeded {
                    field: "secrets",
                    max: SECRETS_PER_PLUGIN_MAX as u64,
                });
            }
            Ok(((), None))
        };
        self.writer().write(SECRET_BYTES_MAX, keep).await
    }

    /// Removes a secret; whether it was there.
    ///
    /// # Errors
    /// A name that breaks its rule, a database that fails.
    pub async fn secret_delete(&self, plugin: &str, name: &str) -> Result<bool, StoreError> {
        check(plugin, name)?;
        let (plugin, name) = (plugin.to_owned(), name.to_owned());
        let remove = move |connection: &Connection| {
            let mut statement =
                connection.prepare_cached("DELETE FROM secrets WHERE plugin = ?1 AND name = ?2")?;
            Ok((statement.execute([&plugin, &name])? > 0, None))
        };
        self.writer().write(0, remove).await
    }
}

fn check(plugin: &str, name: &str) -> Result<(), StoreError> {
    text::plugin(plugin)?;
    text::key("name", name)
}

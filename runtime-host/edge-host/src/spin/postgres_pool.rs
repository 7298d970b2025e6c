//! Pools of PostgreSQL connections, one per address, and the check of addresses against the allow-list.
//!
//! A connection serves one component connection at a time, and is cleaned of its transaction, settings and temporary
//! tables before the next one.

use crate::network::allowed::AllowedHosts;
use anyhow::{Result, anyhow, bail};
use limits::edge_host as bounds;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_postgres::{
    Client, Config, NoTls,
    config::{Host as PgHost, SslMode},
};
use tokio_postgres_rustls::MakeRustlsConnect;

/// What is undone between two users; the statements that tokio-postgres prepared for itself must survive.
const CLEAN: &str = "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; \
    SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES";

/// Pools of all addresses in use; shared by all components, keyed by the whole connection string.
#[derive(Default)]
pub(crate) struct PostgresPools(Mutex<HashMap<Address, Arc<Pool>>>);

/// The connection string, and one more authority in PEM.
type Address = (String, Option<String>);

pub(super) struct Pool {
    config: Config,
    /// None where the address says `sslmode=disable`.
    tls: Option<MakeRustlsConnect>,
    idle: Mutex<Vec<Client>>,
    permits: Arc<Semaphore>,
}

impl PostgresPools {
    /// The pool of an address; made where it is missing.
    ///
    /// # Errors
    /// When the address is malformed, or too many are in use.
    pub(super) fn pool(&self, address: &str, ca_root: Option<String>) -> Result<Arc<Pool>> {
        let key = (address.to_owned(), ca_root);
        let mut pools = self.0.lock();
        if let Some(pool) = pools.get(&key) {
            return Ok(pool.clone());
        }
        if pools.len() >= bounds::POSTGRES_ADDRESSES_MAX {
            let unused = pools
                .iter()
                .find(|(_, pool)| Arc::strong_count(pool) == 1)
                .map(|(key, _)| key.clone());
            let unused = unused.ok_or_else(|| {
                anyhow!(
                    "too many PostgreSQL addresses in use (limit {})",
                    bounds::POSTGRES_ADDRESSES_MAX
                )
            })?;
            pools.remove(&unused);
        }
        // A parse error may repeat the address, which holds a password.
        let config: Config = address
            .parse()
            .map_err(|_| anyhow!("malformed connection string"))?;
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => None,
            _ => Some(MakeRustlsConnect::new(Arc::unwrap_or_clone(
                outbound::client_config(key.1.as_deref())?,
            ))),
        };
        let permits = Arc::new(Semaphore::new(bounds::POSTGRES_CONNECTIONS_MAX));
        let pool = Arc::new(Pool {
            config,
            tls,
            idle: Mutex::default(),
            permits,
        });
        pools.insert(key, pool.clone());
        Ok(pool)
    }
}

impl Pool {
    /// An idle connection, or a new one.
    ///
    /// # Errors
    /// When all are busy, or the server does not answer.
    pub(super) async fn lease(self: Arc<Self>) -> Result<Lease> {
        let wait = Duration::from_millis(bounds::POSTGRES_CONNECT_TIMEOUT_MS);
        let permit = timeout(wait, self.permits.clone().acquire_owned()).await;
        let permit = permit.map_err(|_| {
            anyhow!(
                "all {} connections are busy",
                bounds::POSTGRES_CONNECTIONS_MAX
            )
        })??;
        let idle = {
            let mut idle = self.idle.lock();
            idle.retain(|client| !client.is_closed());
            idle.pop()
        };
        let client = match idle {
            Some(client) => client,
            None => timeout(wait, self.connect())
                .await
                .map_err(|_| anyhow!("no answer within {} ms", wait.as_millis()))??,
        };
        Ok(Lease {
            client: Some(client),
            pool: self,
            permit: Some(permit),
            began: AtomicBool::new(false),
        })
    }

    async fn connect(&self) -> Result<Client> {
        match self.tls.clone() {
            None => {
                let (client, connection) = self.config.connect(NoTls).await?;
                tokio::spawn(connection);
                Ok(client)
            }
            Some(tls) => {
                let (client, connection) = self.config.connect(tls).await?;
                tokio::spawn(connection);
                Ok(client)
            }
        }
    }
}

/// A connection in the hands of one component connection.
pub(super) struct Lease {
    client: Option<Client>,
    pool: Arc<Pool>,
    permit: Option<OwnedSemaphorePermit>,
    /// A statement may have opened a transaction. Rolling back without one would fill the server's log with warnings.
    began: AtomicBool,
}

impl Lease {
    /// The client for one statement.
    pub(super) fn client(&self, statement: &str) -> &Client {
        if opens_transaction(statement) {
            self.began.store(true, Ordering::Relaxed);
        }
        self.client
            .as_ref()
            .expect("a lease holds its client until it is dropped")
    }
}

/// Whether a statement may open a transaction: it says so somewhere, be it in a comment.
fn opens_transaction(statement: &str) -> bool {
    let words = statement.split(|character: char| !character.is_ascii_alphabetic());
    words
        .into_iter()
        .any(|word| word.eq_ignore_ascii_case("begin") || word.eq_ignore_ascii_case("start"))
}

impl Drop for Lease {
    fn drop(&mut self) {
        let (Some(client), permit) = (self.client.take(), self.permit.take()) else {
            return;
        };
        let pool = self.pool.clone();
        let began = *self.began.get_mut();
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        runtime.spawn(async move {
            let clean = async {
                if began {
                    client.batch_execute("ROLLBACK").await?;
                }
                client.batch_execute(CLEAN).await
            };
            // A statement that still runs delays the cleaning; such a connection is closed instead.
            if let Ok(Ok(())) = timeout(
                Duration::from_millis(bounds::POSTGRES_CONNECT_TIMEOUT_MS),
                clean,
            )
            .await
            {
                pool.idle.lock().push(client);
            }
            drop(permit);
        });
    }
}

/// Every host of a connection string must be allowed.
///
/// # Errors
/// When one is not, or the connection string is malformed; no text repeats it, it may hold a password.
pub(super) fn check_allowed(allowed: &AllowedHosts, address: &str) -> Result<()> {
    let config: Config = address
        .parse()
        .map_err(|_| anyhow!("malformed connection string"))?;
    if config.get_hosts().is_empty() {
        bail!("the connection string names no host");
    }
    if !config.get_hostaddrs().is_empty() {
        bail!("hostaddr is not supported: the allow-list speaks about hosts");
    }
    for (at, host) in config.get_hosts().iter().enumerate() {
        let PgHost::Tcp(host) = host else {
            bail!("Unix sockets are not supported")
        };
        let ports = config.get_ports();
        let port = ports
            .get(at)
            .or_else(|| ports.first().filter(|_| ports.len() == 1))
            .copied();
        if !allowed.allows("postgres", host, port) {
            let port = port.map(|port| format!(":{port}")).unwrap_or_default();
            bail!("address postgres://{host}{port} is not permitted by allowed_outbound_hosts");
        }
    }
    Ok(())
}

//! The limits that clients can act on, as configured. They are sent in `connected` and served at `/limits`.

use crate::config::Config;
use envelope::catalogue::{CATALOGUE, RateClass};
use serde_json::{Map, Value, json};

/// The limits as one object.
pub(crate) fn limits(config: &Config) -> Value {
    let bytes: Map<String, Value> = CATALOGUE
        .iter()
        .filter(|envelope| envelope.direction.from_client())
        .map(|envelope| {
            (
                envelope.name.to_owned(),
                envelope
                    .bytes_max
                    .min(config.socket.message_bytes_max)
                    .into(),
            )
        })
        .collect();
    let rates: Map<String, Value> = RateClass::ALL
        .iter()
        .zip(config.rates.by_class())
        .map(|(class, rate)| {
            (
                class.name().to_owned(),
                json!({"perSecond": rate.per_second, "burst": rate.burst}),
            )
        })
        .collect();
    json!({
        "messageBytesMax": config.socket.message_bytes_max,
        "envelopeBytesMax": bytes,
        "rates": rates,
        "ratesIdentityMultiple": config.rates.identity_multiple.max(1),
        "bytesPerSecond": config.rates.bytes_per_second,
        "newTargetsPerMinute": config.rates.new_targets_per_minute,
        "pingIntervalMs": config.socket.ping_interval_ms,
        "silenceMaxMs": config.socket.silence_max_ms,
        "queueBytesMax": config.socket.queue_bytes_max,
        "joinedServersMax": config.socket.joined_servers_max,
        "viewedServersMax": config.socket.viewed_servers_max,
        "rosterEntriesMax": config.socket.roster_entries_max,
        "rosterPageEntries": config.socket.roster_page_entries.min(config.socket.roster_entries_max),
        "connectionsPerAddressMax": config.socket.connections_per_address_max,
        "connectionsPerIdentityMax": config.socket.connections_per_identity_max,
    })
}

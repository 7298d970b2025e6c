//! The documents that are served over HTTP.

use crate::{Direction, asyncapi, catalogue, schema, schemas};
use serde_json::Value;
use std::collections::BTreeMap;

/// Every document by the path at which it is served.
#[must_use]
pub fn documents() -> BTreeMap<String, Value> {
    let mut documents = BTreeMap::from([
        (
            "/api/envelopes/catalogue".to_owned(),
            catalogue::catalogue(),
        ),
        ("/api/asyncapi.json".to_owned(), asyncapi()),
        ("/api/schemas/envelopes".to_owned(), catalogue::schemas()),
    ]);
    for (path, schema) in schemas() {
        documents.insert(format!("/api/schemas/envelopes/{path}"), schema);
    }
    // Without its direction, a schema is that of the envelope as clients send it, or else as they receive it.
    for envelope in envelope::CATALOGUE {
        let found = Direction::ALL
            .into_iter()
            .find_map(|direction| schema(envelope.name, direction));
        if let Some(schema) = found {
            documents.insert(
                format!("/api/schemas/envelopes/{}.json", envelope.name),
                schema,
            );
        }
    }
    documents
}

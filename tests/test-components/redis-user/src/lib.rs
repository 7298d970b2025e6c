//! A guest that imports an interface which the native host does not offer.

use spin_sdk::{
    http::{IntoResponse, Request},
    http_service,
};

#[http_service]
async fn handle(_: Request) -> anyhow::Result<impl IntoResponse> {
    let connection = spin_sdk::redis::Connection::open("redis://127.0.0.1").await?;
    connection.set("key", b"value").await?;
    Ok("done")
}

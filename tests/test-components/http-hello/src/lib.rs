//! The smallest HTTP guest: what a request costs here is what any request to a component costs.

use spin_sdk::{
    http::{IntoResponse, Request},
    http_service,
};

#[http_service]
async fn handle(_: Request) -> anyhow::Result<impl IntoResponse> {
    Ok("hello")
}

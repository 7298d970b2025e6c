//! A guest that gets both its imports from one other guest: `PUT` sets the count to the number in the path, `GET` adds one and shows it.

use bindings::jackfield_test::counter::{counting, setting, types::Count};
use spin_sdk::{
    http::{IntoResponse, Method, Request},
    http_service,
};

#[allow(unsafe_code, missing_docs, unreachable_pub, reason = "generated")]
mod bindings {
    spin_sdk::wit_bindgen::generate!({
        runtime_path: "::spin_sdk::wit_bindgen::rt",
        path: "../counter/wit",
        world: "user",
    });
}

#[http_service]
async fn handle(request: Request) -> anyhow::Result<impl IntoResponse> {
    if *request.method() == Method::PUT {
        let value = request
            .uri()
            .path()
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .parse()?;
        setting::set(Count { value });
    }
    Ok(counting::next().value.to_string())
}

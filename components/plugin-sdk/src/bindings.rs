//! What wit-bindgen makes of the world `plugin`.
#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    reason = "generated code"
)]

wit_bindgen::generate!({
    path: "../../wit/plugin/0.1.0",
    world: "jackfield:plugin/plugin",
    pub_export_macro: true,
    export_macro_name: "export_world",
    default_bindings_module: "plugin_sdk::glue::bindings",
});

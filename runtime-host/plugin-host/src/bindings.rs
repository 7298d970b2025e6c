//! What wasmtime makes of the world `plugin`. A plugin exports a part of it; each interface is looked up by itself.
#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    reason = "generated code"
)]

wasmtime::component::bindgen!({
    path: "../../wit/plugin/0.1.0",
    world: "jackfield:plugin/plugin",
    imports: { default: async | trappable },
    exports: { default: async },
    with: {
        "jackfield:plugin/http-body.reader": crate::dispatch::body::BodyReader,
        "jackfield:plugin/http-body.writer": crate::dispatch::body::BodyWriter,
    },
    additional_derives: [Clone],
});

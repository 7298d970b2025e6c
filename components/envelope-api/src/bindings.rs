//! What wit-bindgen makes of the imports `judge` and `definitions`, from the same WIT folder that the validator is made
//! of. Spin composes the validator in (`dependencies` in spin.toml).
#![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]

spin_sdk::wit_bindgen::generate!({
    inline: "
        package jackfield:envelope-api;

        world imports {
            import jackfield:envelopes/judge@0.1.0;
            import jackfield:envelopes/definitions@0.1.0;
        }
    ",
    path: "../../wit",
    runtime_path: "::spin_sdk::wit_bindgen::rt",
    generate_all,
});

pub(crate) use jackfield::envelopes::{definitions, judge, types};

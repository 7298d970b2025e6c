//! Plugins: real components in the real host.

mod author;
mod authority;
mod compiling;
mod crashes;
mod events;
mod examples;
mod guests;
mod hostile;
mod install;
mod kills;
mod languages;
mod manifests;
mod values;

use tests::{host::Host, plugins::Directory};

/// A host with the probe where a capability that was not granted is refused without a question.
fn strict(directory: &Directory) -> Host {
    directory.install("plugin-probe", |_| {});
    let host = directory
        .settings()
        .config("[plugins.policy]\nprofile = \"safe\"\n")
        .start();
    host.plugin_in("tests.probe", "loaded");
    host
}

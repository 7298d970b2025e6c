//! Plugins: real components in the real host.

mod acting;
mod author;
mod authority;
mod clients;
mod compiling;
mod crashes;
mod events;
mod examples;
mod guests;
mod hooks;
mod hostile;
mod install;
mod kills;
mod languages;
mod manifests;
mod network;
mod options;
mod switches;
mod tools;
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

/// The jobs that instances of the probe have started.
fn calls(host: &Host) -> u64 {
    let metrics = host.get("/metrics").expect(200).text();
    let mut lines = metrics.lines();
    let line = lines.find(|line| line.contains("plugin_calls_total{plugin=\"tests.probe\"}"));
    let count = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
    count.expect("a counter")
}

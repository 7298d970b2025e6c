//! Examples that no other test runs: each one starts with what it declares.

use tests::plugins::Directory;

#[test]
fn each_example_starts() {
    let directory = Directory::default();
    for example in ["moderation", "webhook-notifier"] {
        directory.install(example, |_| {});
    }
    let host = directory.settings().start();
    for id in ["jackfield.moderation", "jackfield.webhook-notifier"] {
        host.grant_all(id);
        let _ = host.plugin_in(id, "loaded");
    }
}

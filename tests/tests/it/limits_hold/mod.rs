//! Every limit of `[socket]` and `[rates]` that a client can reach takes effect when configuration
//! lowers it, and has a counter.
//!
//! A new setting needs a row in a group whose other settings do not interfere, or a reason in
//! [`NOT_REACHED`].

mod actions;
mod table;

use std::collections::BTreeSet;
use tests::{
    host::{Host, jackfield, run},
    measures::Counters,
    plugins::Directory,
};

/// Settings that are no limits or that a client cannot reach, each with the reason.
const NOT_REACHED: [(&str, &str); 6] = [
    ("socket.shards", "threads of the host"),
    ("socket.linger_ms", "batching, not a limit"),
    (
        "socket.ping_interval_ms",
        "liveness::the_server_pings; nothing is refused by it",
    ),
    (
        "socket.trusted_proxies",
        "covered by the row of connections_per_address_max",
    ),
    (
        "socket.ipv6_prefix_bits",
        "what counts as one address; tests of the gateway's `address`",
    ),
    (
        "socket.compat",
        "which clients get refusals; the row of rates.all covers `guarded`",
    ),
];

/// One host, and the limits that its configuration lowers.
struct Group {
    config: &'static str,
    rows: &'static [Row],
}

/// One limit.
struct Row {
    setting: &'static str,
    /// Reaches the limit and checks the answer.
    reach: fn(&Host),
    /// The counter that must have grown, and its label; `None` if an answer is shortened and
    /// nothing is refused.
    counter: Option<(&'static str, &'static str)>,
}

const GROUPS: &[Group] = &[
    Group {
        config: "[socket]\njoined_servers_max = 2\nviewed_servers_max = 1\nconnections_per_identity_max = 2\nroster_entries_max = 2\n\
                 message_bytes_max = 16384\n\
                 [rates]\nbytes_per_second = 4096\nnew_targets_per_minute = 3\n\
                 typing = { per_second = 1, burst = 2 }\nchat = { per_second = 1, burst = 2 }\n\
                 membership = { per_second = 1, burst = 12 }\nsignalling = { per_second = 1, burst = 2 }\n\
                 direct = { per_second = 1, burst = 8 }\nplugin_event = { per_second = 1, burst = 2 }\n",
        rows: &[
            Row {
                setting: "socket.joined_servers_max",
                reach: actions::joined,
                counter: Some(("envelopes_refused_total", "access_denied")),
            },
            Row {
                setting: "socket.viewed_servers_max",
                reach: actions::viewed,
                counter: Some(("envelopes_refused_total", "access_denied")),
            },
            Row {
                setting: "socket.connections_per_identity_max",
                reach: actions::devices,
                counter: Some(("envelopes_refused_total", "LIMIT_REACHED")),
            },
            Row {
                setting: "socket.roster_entries_max",
                reach: actions::roster,
                counter: None,
            },
            Row {
                setting: "socket.message_bytes_max",
                reach: actions::message,
                counter: Some(("connections_closed_total", "1009")),
            },
            Row {
                setting: "rates.bytes_per_second",
                reach: actions::bytes,
                counter: Some(("rate_limited_total", "bytes")),
            },
            Row {
                setting: "rates.new_targets_per_minute",
                reach: actions::targets,
                counter: Some(("rate_limited_total", "new targets")),
            },
            Row {
                setting: "rates.typing",
                reach: actions::typing,
                counter: Some(("rate_limited_total", "typing")),
            },
            Row {
                setting: "rates.chat",
                reach: actions::chat,
                counter: Some(("rate_limited_total", "chat")),
            },
            Row {
                setting: "rates.membership",
                reach: actions::membership,
                counter: Some(("rate_limited_total", "membership")),
            },
            Row {
                setting: "rates.signalling",
                reach: actions::signalling,
                counter: Some(("rate_limited_total", "signalling")),
            },
            Row {
                setting: "rates.direct",
                reach: actions::direct,
                counter: Some(("rate_limited_total", "direct")),
            },
            Row {
                setting: "rates.plugin_event",
                reach: actions::plugin_event,
                counter: Some(("rate_limited_total", "plugin_event")),
            },
        ],
    },
    Group {
        config: "[rates]\nidentity_multiple = 2\nchat = { per_second = 1, burst = 3 }\n",
        rows: &[Row {
            setting: "rates.identity_multiple",
            reach: actions::identity,
            counter: Some(("rate_limited_total", "identity")),
        }],
    },
    Group {
        config: "[socket]\nroster_page_entries = 2\n",
        rows: &[Row {
            setting: "socket.roster_page_entries",
            reach: actions::roster_page,
            counter: None,
        }],
    },
    Group {
        config: "[socket]\norigins = [\"https://chat.example\"]\nconnections_per_address_max = 3\ntrusted_proxies = [\"127.0.0.0/8\"]\n\
                 [rates]\nstrikes_max = 0\nall = { per_second = 1, burst = 5 }\n",
        rows: &[
            Row {
                setting: "socket.origins",
                reach: actions::origin,
                counter: Some(("handshakes_refused_total", "origin")),
            },
            Row {
                setting: "socket.connections_per_address_max",
                reach: actions::address,
                counter: Some(("handshakes_refused_total", "address")),
            },
            Row {
                setting: "rates.strikes_max",
                reach: actions::strikes,
                counter: Some(("connections_closed_total", "4008")),
            },
        ],
    },
    Group {
        config: "[socket]\nconnections_max = 4\nhandshakes_per_address = { per_second = 1, burst = 6 }\ntrusted_proxies = [\"127.0.0.0/8\"]\n\
                 accepts = { per_second = 200, burst = 1 }\n[rates]\nall = { per_second = 1, burst = 5 }\n",
        rows: &[
            Row {
                setting: "socket.handshakes_per_address",
                reach: actions::handshakes,
                counter: Some(("handshakes_refused_total", "rate")),
            },
            Row {
                setting: "socket.connections_max",
                reach: actions::connections,
                counter: Some(("handshakes_refused_total", "full")),
            },
            Row {
                setting: "socket.accepts",
                reach: actions::accepts,
                counter: Some(("accepts_paced_total", "")),
            },
            Row {
                setting: "rates.all",
                reach: actions::all,
                counter: Some(("rate_limited_total", "all")),
            },
        ],
    },
    Group {
        config: "[socket]\nhead_timeout_ms = 300\nidentify_timeout_ms = 300\nsilence_max_ms = 3000\nping_interval_ms = 500\n\
                 [identity]\nmode = \"required\"\n",
        rows: &[
            Row {
                setting: "socket.head_timeout_ms",
                reach: actions::head,
                counter: Some(("handshakes_refused_total", "timeout")),
            },
            Row {
                setting: "socket.identify_timeout_ms",
                reach: actions::identify,
                counter: Some(("connections_closed_total", "1008")),
            },
            Row {
                setting: "socket.silence_max_ms",
                reach: actions::silence,
                counter: Some(("connections_closed_total", "silent")),
            },
        ],
    },
    Group {
        config: "[socket]\nqueue_bytes_max = 1000000000\nwrite_stall_max_ms = 300\n",
        rows: &[Row {
            setting: "socket.write_stall_max_ms",
            reach: actions::stalled,
            counter: Some(("connections_closed_total", "4013")),
        }],
    },
    Group {
        config: "[socket]\nmessage_timeout_ms = 300\n",
        rows: &[Row {
            setting: "socket.message_timeout_ms",
            reach: actions::unfinished,
            counter: Some(("connections_closed_total", "1009")),
        }],
    },
    Group {
        config: "[socket]\nqueue_bytes_max = 65536\nwrite_stall_max_ms = 600000\n",
        rows: &[Row {
            setting: "socket.queue_bytes_max",
            reach: actions::stalled,
            counter: Some(("connections_closed_total", "4013")),
        }],
    },
    Group {
        config: "[socket]\ndecision_max_ms = 300\n",
        rows: &[Row {
            setting: "socket.decision_max_ms",
            reach: actions::decision,
            counter: Some(("envelopes_refused_total", "PLUGIN_UNAVAILABLE")),
        }],
    },
];

#[test]
fn each_lowered_limit_takes_effect() {
    for group in GROUPS {
        // Rates outside the group are raised; each row uses its own identities.
        let directory = Directory::default();
        directory.install("plugin-probe", |_| {});
        let host = directory
            .settings()
            .config(tests::limits_raised())
            .config(group.config)
            .start();
        for server in ["one", "two", "three"] {
            host.create_server("olga", server);
        }
        for row in group.rows {
            let before = Counters::of(&host);
            (row.reach)(&host);
            if let Some((name, kind)) = row.counter {
                before.until_grown(&host, name, kind, 1.0);
            }
        }
    }
}

#[test]
fn every_setting_has_a_row_or_a_reason() {
    let output = run(jackfield().args(["config", "default"]));
    let config: toml::Table = String::from_utf8(output.stdout)
        .expect("text")
        .parse()
        .expect("TOML");
    let keys = |room: &str| -> Vec<String> {
        config[room]
            .as_table()
            .expect("a table")
            .keys()
            .map(|key| format!("{room}.{key}"))
            .collect()
    };
    let all: BTreeSet<String> = keys("socket").into_iter().chain(keys("rates")).collect();
    let rows = GROUPS
        .iter()
        .flat_map(|group| group.rows)
        .map(|row| row.setting.to_owned());
    let known: BTreeSet<String> = rows
        .chain(NOT_REACHED.iter().map(|(setting, _)| (*setting).to_owned()))
        .collect();
    assert_eq!(
        all, known,
        "settings of the configuration and rows of this table differ"
    );
}

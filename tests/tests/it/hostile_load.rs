//! Attacks by volume: slow readers, slow handshakes, endless joins, a storm of reconnects, password
//! guesses.

use crate::hostile::{attacked, many, measured};
use serde_json::{Value, json};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tests::{
    bystander::Bystander,
    client::Client,
    host::Settings,
    limits_raised,
    measures::{Counters, processor_ticks, resident_bytes},
    raw::Raw,
    until,
};

/// Memory that the allocator may keep after an attack, besides what the test itself allows.
const SLACK: usize = 32 * limits::MIB;

#[test]
fn stalled_readers_are_closed_and_hold_no_memory() {
    const READERS: usize = 16;
    let host = attacked(limits_raised());
    host.create_server("olga", "stalled");
    let bystander = Bystander::start(&host, "talk-stalled");
    let before = Counters::of(&host);
    let mut talker = Client::joined(&host, "talker", "stalled");
    let mut readers: Vec<Raw> = (0..READERS)
        .map(|at| {
            let mut raw = Raw::connect(&host);
            let name = format!("reader-{at}");
            raw.text(&json!({"type": "identify", "oderId": name, "displayName": name}).to_string());
            raw.text(&json!({"type": "join_server", "serverId": "stalled"}).to_string());
            talker.find(&name, |frame| {
                frame["type"] == "user_joined" && frame["oderId"] == *name
            });
            raw
        })
        .collect();
    let resident = resident_bytes(&host);
    let mut most = resident;
    let text = "x".repeat(16_000);
    // The kernel buffers some megabytes for each reader; then the queue of the host fills up to its
    // limit.
    until("all readers closed", || {
        for _ in 0..50 {
            talker.send(json!({"type": "chat_message", "serverId": "stalled", "message": text}));
        }
        most = most.max(resident_bytes(&host));
        (before.growth(&host, "connections_closed_total", "4013") >= READERS as f64).then_some(())
    });
    println!(
        "{} KiB for each stalled reader at most",
        (most - resident) / limits::KIB / READERS
    );
    assert!(
        most <= resident + READERS * 2 * limits::MIB + SLACK,
        "{} KiB for {READERS} readers",
        (most - resident) / limits::KIB
    );
    for reader in &mut readers {
        // A busy machine may read too late for the close frame.
        let code = reader.closed();
        assert!(matches!(code, 4013 | 1006), "{code}");
    }
    assert!(
        talker
            .settled()
            .iter()
            .all(|frame| frame["type"] != "error"),
        "the sender was refused something"
    );
    bystander.undisturbed();
}

#[test]
fn half_open_handshakes_time_out_and_block_no_client() {
    let half_open = many(500, 2_000);
    let host = attacked(if half_open > 500 {
        ""
    } else {
        "[socket]\nhead_timeout_ms = 3000\n"
    });
    let bystander = Bystander::start(&host, "talk-slowloris");
    let (before, resident) = (Counters::of(&host), resident_bytes(&host));
    let mut slow: Vec<Raw> = (0..half_open)
        .map(|_| {
            let mut raw = Raw::dial(&host);
            raw.write(b"GET /ws HTTP/1.1\r\nhost: x\r\nx-slow: ");
            raw
        })
        .collect();
    // A real client connects while all of them are open.
    Client::identified(&host, "real").close();
    assert!(
        before.growth(&host, "handshakes_refused_total", "timeout") < half_open as f64,
        "the handshakes ended before the real client connected"
    );
    measured(&host, "half-open handshakes", resident, SLACK);
    before.until_grown(
        &host,
        "handshakes_refused_total",
        "timeout",
        half_open as f64,
    );
    for raw in &mut slow {
        assert!(
            raw.rest().map_or(true, |rest| rest.is_empty()),
            "half a handshake was answered"
        );
    }
    bystander.undisturbed();
}

#[test]
fn half_open_sockets_are_bounded_and_block_no_client() {
    let host = Settings::new()
        .config("[socket]\nconnections_max = 10\nhead_timeout_ms = 20000\n")
        .start();
    let before = Counters::of(&host);
    // With so few connections the limit is at its minimum, 64.
    let slow: Vec<Raw> = (0..80)
        .map(|_| {
            let mut raw = Raw::dial(&host);
            // Beyond the limit the oldest socket is closed for the newest.
            let _ = raw.try_write(b"GET /ws HTTP/1.1\r\n");
            raw
        })
        .collect();
    Client::identified(&host, "real").close();
    before.until_grown(&host, "handshakes_refused_total", "half_open", 14.0);
    // Above half of the limit a head has a fifth of its time.
    before.until_grown(&host, "handshakes_refused_total", "timeout", 60.0);
    drop(slow);
}

#[test]
fn joins_of_random_servers_do_not_reach_the_database() {
    let host = attacked("");
    let bystander = Bystander::start(&host, "talk-random");
    let before = Counters::of(&host);
    let mut raw = Raw::connect(&host);
    raw.text(&json!({"type": "identify", "oderId": "random", "displayName": "random"}).to_string());
    let mut writer = raw.twin();
    let count = many(20_000, 100_000);
    let joining = std::thread::spawn(move || {
        let mut sent = 0;
        for at in 0..count {
            let join =
                json!({"type": "join_server", "serverId": format!("random-{at}")}).to_string();
            if writer
                .try_write(&tests::raw::masked(0x81, join.as_bytes()))
                .is_err()
            {
                break;
            }
            sent += 1;
        }
        // Keep sending until the connection is closed.
        while writer.try_write(&tests::raw::masked(0x89, b"")).is_ok() {}
        sent
    });
    assert_eq!(raw.closed(), 4008, "joins beyond the rate");
    drop(raw);
    let sent = joining.join().expect("the joins end");
    let (asked, denied) = (
        before.growth(&host, "directory_questions_total", "answered"),
        before.growth(&host, "envelopes_refused_total", "access_denied"),
    );
    println!("{sent} joins sent, {denied} denied, {asked} questions to the edge");
    assert!(before.growth(&host, "envelopes_refused_total", "RATE_LIMITED") > 0.0);
    let sent = f64::from(u32::try_from(sent).expect("a small number"));
    assert!(
        denied < sent / 4.0 || sent < 1_000.0,
        "the rate holds back most: {denied} of {sent}"
    );
    assert!(
        asked <= denied + 10.0,
        "{asked} questions for {denied} joins that the rate let through"
    );
    bystander.undisturbed();
}

#[test]
fn repeated_joins_and_leaves_leak_nothing() {
    let host = attacked(limits_raised());
    host.create_server("olga", "revolving");
    let bystander = Bystander::start(&host, "talk-revolving");
    let mut witness = Client::joined(&host, "witness", "revolving");
    let mut client = Client::identified(&host, "restless");
    let half = many(2_500, 50_000);
    let mut turn = |count: usize| {
        for at in 0..count {
            client.send(json!({"type": "join_server", "serverId": "revolving"}));
            client.send(json!({"type": "leave_server", "serverId": "revolving"}));
            if at % 100 == 99 {
                client.settled();
                let seen: Vec<Value> = witness.settled();
                let seen: Vec<&str> = seen
                    .iter()
                    .filter_map(|frame| frame["type"].as_str())
                    .filter(|kind| kind.starts_with("user_"))
                    .collect();
                assert!(
                    seen.chunks(2)
                        .all(|pair| pair == ["user_joined", "user_left"]),
                    "one departure for each arrival: {seen:?}"
                );
            }
        }
    };
    turn(half);
    let resident = resident_bytes(&host);
    turn(half);
    measured(&host, "joining and leaving", resident, 8 * limits::MIB);
    let (users, _) = Client::joined(&host, "later", "revolving").join("revolving");
    assert_eq!(
        users["users"].as_array().map(Vec::len),
        Some(1),
        "only the witness is there: {users}"
    );
    bystander.undisturbed();
}

#[test]
fn a_storm_of_reconnects_is_absorbed() {
    const THREADS: usize = 4;
    let (people, servers) = (many(500, 5_000), many(10, 50));
    let host = attacked(limits_raised());
    for at in 0..servers {
        host.create_server(&format!("owner-{}", at / 10), &format!("storm-{at}"));
    }
    let bystander = Bystander::start(&host, "talk-storm");
    let before = Counters::of(&host);
    let retries = AtomicUsize::new(0);
    let mut here: Vec<Raw> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (host, retries) = (&host, &retries);
                scope.spawn(move || {
                    (thread..people)
                        .step_by(THREADS)
                        .map(|at| come_back(host, at, servers, retries))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("every client connects"))
            .collect()
    });
    for raw in &mut here {
        raw.frame(0x89, b"in");
        // The roster comes before the answer to a ping that was sent after the join.
        let mut rosters = 0;
        loop {
            let frame = raw.next_frame().expect("an open connection");
            rosters += usize::from(
                frame
                    .payload
                    .windows(14)
                    .any(|window| window == br#""server_users""#),
            );
            if frame.opcode == 10 && frame.payload == b"in" {
                break;
            }
        }
        assert_eq!(rosters, 1);
    }
    let asked = before.growth(&host, "directory_questions_total", "answered");
    println!(
        "{people} came back, {} times told to wait; {asked} questions to the edge",
        retries.load(Ordering::Relaxed)
    );
    // One question per user and one per server, and a few more for questions asked at the same
    // moment.
    assert!(
        asked <= (people + 4 * servers) as f64 + 10.0,
        "{asked} questions"
    );
    let mut late = Client::identified(&host, "late");
    for at in 0..servers {
        let (users, _) = late.join(&format!("storm-{at}"));
        assert_eq!(
            users["users"].as_array().map(Vec::len),
            Some(people / servers),
            "every user must be in the roster"
        );
    }
    bystander.undisturbed();
}

/// Connects as a returning user, retries as long as the host says to wait, and joins.
fn come_back(host: &tests::host::Host, at: usize, servers: usize, retries: &AtomicUsize) -> Raw {
    let mut raw = until("a free place", || {
        let (raw, head) = Raw::shake(host, "");
        if head.starts_with("HTTP/1.1 101") {
            return Some(raw);
        }
        let waits = head.starts_with("HTTP/1.1 503") || head.starts_with("HTTP/1.1 429");
        assert!(
            waits && head.to_ascii_lowercase().contains("retry-after:"),
            "{head}"
        );
        retries.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(200));
        None
    });
    let name = format!("person-{at}");
    raw.text(&json!({"type": "identify", "oderId": name, "displayName": name}).to_string());
    raw.text(
        &json!({"type": "join_server", "serverId": format!("storm-{}", at % servers)}).to_string(),
    );
    raw
}

#[test]
fn password_guesses_are_limited_before_hashing() {
    let host = attacked(limits_raised());
    let _ = host
        .act(
            "olga",
            "POST",
            "/api/servers",
            &json!({"id": "guarded", "name": "Guarded", "password": "open sesame"}),
        )
        .expect(201);
    let bystander = Bystander::start(&host, "talk-guesses");
    let guess = |name: &str, count: usize| {
        let mut client = Client::identified(&host, name);
        let mut codes = [0, 0];
        for _ in 0..count {
            client
                .send(json!({"type": "join_server", "serverId": "guarded", "password": "a guess"}));
            match client.expect("access_denied")["code"].as_str() {
                Some("PASSWORD_INVALID") => codes[0] += 1,
                Some("RATE_LIMITED") => codes[1] += 1,
                code => panic!("{code:?}"),
            }
        }
        codes
    };
    let begin = processor_ticks(&host);
    let hashed = guess(
        "first",
        limits::directory::PASSWORD_ATTEMPTS_PER_MINUTE as usize,
    )[0];
    let for_hashes = processor_ticks(&host) - begin;
    let (before, begin) = (Counters::of(&host), processor_ticks(&host));
    // A thousand guesses by twenty users; most are refused before a hash is computed.
    let (mut invalid, mut limited) = (hashed, 0);
    for at in 0..20 {
        let codes = guess(&format!("guesser-{at}"), 50);
        invalid += codes[0];
        limited += codes[1];
    }
    let used = processor_ticks(&host) - begin;
    println!(
        "{invalid} guesses hashed, {limited} refused before; {for_hashes} ticks for the first {hashed}, {used} for all others"
    );
    // The attempts of one minute, and of a second one if a minute passed meanwhile.
    let most = limits::directory::PASSWORD_ATTEMPTS_PER_SERVER_PER_MINUTE as usize;
    assert!(
        invalid <= 2 * most,
        "{invalid} hashed, the server allows {most} a minute"
    );
    assert!(limited >= 1_000 - 2 * most);
    assert!(
        used as usize * hashed * 2 < for_hashes as usize * 1_000,
        "as much work as if at least half of them had been hashed"
    );
    before.until_grown(&host, "envelopes_refused_total", "access_denied", 1_000.0);
    bystander.undisturbed();
}

//! Transitions, supervision and stored rows.

use plugin_lifecycle::{
    Effect, Event, Health, Illegal, MAX_RESTARTS_EXCEEDED, Machine, Record, State, TRANSITIONS,
    backoff_ms, lifecycle_markdown, next,
};
use proptest::{prelude::*, sample::select};
use serde_json::json;
use std::collections::BTreeSet;

const MINUTE: u64 = 60_000;

fn started(now_ms: u64) -> Machine {
    let mut machine = Machine::new();
    for event in [Event::Accept, Event::Load, Event::Prepare, Event::Activate] {
        machine.step(event, now_ms).unwrap();
    }
    machine
}

fn records(effects: &[Effect]) -> Vec<&'static str> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Record(record) => Some(record.name()),
            Effect::RetryAt(_) | Effect::RetryUpdateAt(_) => None,
        })
        .collect()
}

#[test]
fn ten_public_states_each_reachable_and_none_a_dead_end() {
    let names: Vec<&str> = State::ALL.iter().map(|state| state.as_str()).collect();
    assert_eq!(
        names,
        [
            "discovered",
            "validated",
            "blocked",
            "loading",
            "ready",
            "loaded",
            "failed",
            "unloading",
            "unloaded",
            "disabled"
        ]
    );
    let rows: BTreeSet<(State, Event)> = TRANSITIONS
        .iter()
        .map(|(from, event, _)| (*from, *event))
        .collect();
    assert_eq!(
        rows.len(),
        TRANSITIONS.len(),
        "one row for a state and an event"
    );
    let mut reached = BTreeSet::from([State::Discovered]);
    for _ in State::ALL {
        let more: Vec<State> = TRANSITIONS
            .iter()
            .filter(|(from, ..)| reached.contains(from))
            .map(|(_, _, to)| *to)
            .collect();
        reached.extend(more);
    }
    assert_eq!(reached.len(), State::ALL.len());
    for state in State::ALL {
        assert!(
            TRANSITIONS
                .iter()
                .any(|(from, _, to)| from == state && to != state),
            "{state} is a dead end"
        );
        assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
    }
}

#[test]
fn enabling_passes_the_states_in_order_and_stopping_too() {
    let mut machine = Machine::disabled(Some("user"));
    let mut seen = vec![machine.state()];
    let mut rows = Vec::new();
    for event in [
        Event::Enable,
        Event::Accept,
        Event::Load,
        Event::Prepare,
        Event::Activate,
        Event::Unload,
        Event::Gone,
        Event::Disable,
    ] {
        let step = machine.step(event, 5).unwrap();
        seen.extend(step.entered());
        rows.extend(records(&step.effects));
    }
    let seen: Vec<&str> = seen.iter().map(|state| state.as_str()).collect();
    assert_eq!(
        seen,
        [
            "disabled",
            "discovered",
            "validated",
            "loading",
            "ready",
            "loaded",
            "unloading",
            "unloaded",
            "disabled"
        ]
    );
    assert_eq!(rows, ["enabled", "started", "stopped", "disabled"]);
}

#[test]
fn ten_crashes_at_the_start_are_nine_restarts_with_these_waits() {
    let mut machine = Machine::new();
    machine.step(Event::Accept, 0).unwrap();
    let (mut now, mut waits, mut rows) = (0, Vec::new(), Vec::new());
    machine.step(Event::Load, now).unwrap();
    let last = loop {
        let step = machine
            .step_because(Event::Crash, now, "unreachable")
            .unwrap();
        rows.extend(records(&step.effects));
        let Some(at) = machine.retry_at() else {
            break step;
        };
        assert_eq!(step.effects.last(), Some(&Effect::RetryAt(at)));
        waits.push((at - now) / 1_000);
        let early = machine.step(Event::Retry, at - 1).unwrap_err();
        assert_eq!(
            (early, early.code()),
            (Illegal::TooEarly { wait_ms: 1 }, "retry-too-early")
        );
        now = at;
        machine.step(Event::Retry, now).unwrap();
    };
    assert_eq!(waits, [1, 2, 4, 8, 16, 16, 16, 16, 16]);
    assert_eq!(rows.iter().filter(|row| **row == "restarting").count(), 9);
    assert_eq!(rows.iter().filter(|row| **row == "crashed").count(), 10);
    assert_eq!(
        (last.via, last.to, machine.reason()),
        (
            Some(State::Failed),
            State::Disabled,
            Some(MAX_RESTARTS_EXCEEDED)
        )
    );
    let Some(Effect::Record(record)) = last.effects.last() else {
        panic!("{last:?}")
    };
    assert_eq!(record.name(), "disabled_after_max_restarts");
    assert_eq!(
        record.details(),
        json!({"reason": "max_restarts_exceeded", "restart_count": 10})
    );
    machine.step(Event::Enable, now).unwrap();
    assert_eq!(machine.crashes(now), 0, "enabling is a new beginning");
}

#[test]
fn a_healthy_minute_ends_the_row_and_a_millisecond_less_does_not() {
    for (health_ms, crashes) in [(MINUTE - 1, 4), (MINUTE, 1)] {
        let mut machine = started(0);
        let mut now = 0;
        for _ in 0..3 {
            machine.step(Event::Crash, now).unwrap();
            now = machine.retry_at().unwrap();
            for event in [Event::Retry, Event::Prepare, Event::Activate] {
                machine.step(event, now).unwrap();
            }
        }
        now += health_ms;
        let step = machine
            .step_because(Event::Crash, now, "out of fuel")
            .unwrap();
        let wait = backoff_ms(crashes);
        assert_eq!(
            step.effects,
            [
                Effect::Record(Record::Crashed {
                    crashes,
                    cause: Some("out of fuel".into())
                }),
                Effect::Record(Record::Restarting {
                    attempt: crashes,
                    delay_ms: wait
                }),
                Effect::RetryAt(now + wait)
            ]
        );
    }
}

#[test]
fn a_healthy_minute_counts_even_when_it_ends_without_a_crash() {
    let mut machine = started(0);
    machine.step(Event::Crash, 0).unwrap();
    for event in [Event::Retry, Event::Prepare, Event::Activate] {
        machine.step(event, 1_000).unwrap();
    }
    for event in [Event::Unload, Event::Gone, Event::Load] {
        machine.step(event, 1_000 + MINUTE).unwrap();
    }
    machine.step(Event::Crash, 1_001 + MINUTE).unwrap();
    assert_eq!(machine.crashes(1_001 + MINUTE), 1);
}

#[test]
fn a_restart_that_works_is_told_apart_from_a_start() {
    let mut machine = started(0);
    machine.step(Event::Crash, 10).unwrap();
    assert_eq!(
        (machine.health(), machine.is_running(), machine.is_enabled()),
        (Health::Unhealthy, false, true)
    );
    machine.step(Event::Retry, 1_010).unwrap();
    machine.step(Event::Prepare, 1_020).unwrap();
    let step = machine.step(Event::Activate, 1_030).unwrap();
    assert_eq!(
        step.effects,
        [Effect::Record(Record::Restarted { attempt: 1 })]
    );
    assert_eq!(
        serde_json::to_value(machine.status(1_040)).unwrap(),
        json!({"state": "loaded", "enabled": true, "running": true, "health": "healthy", "crashes": 1})
    );
    machine.step(Event::Unload, 2_000).unwrap();
    let step = machine.step(Event::Crash, 2_001).unwrap();
    assert_eq!(
        (step.to, records(&step.effects)),
        (State::Unloaded, vec!["stopped"]),
        "what dies while it stops has stopped"
    );
}

#[test]
fn reasons_are_kept_where_they_matter_and_cut() {
    let mut machine = Machine::new();
    machine
        .step_because(Event::Block, 0, &"é".repeat(1_000))
        .unwrap();
    assert_eq!(
        machine.reason().map(|reason| reason.chars().count()),
        Some(500)
    );
    machine.step(Event::Change, 0).unwrap();
    assert_eq!(machine.reason(), None);
    let step = machine.step_because(Event::Disable, 0, "user").unwrap();
    let [Effect::Record(record)] = step.effects.as_slice() else {
        panic!("{step:?}")
    };
    assert_eq!(
        (record.name(), record.details()),
        ("disabled", json!({"reason": "user"}))
    );
    let error = machine.step(Event::Load, 0).unwrap_err();
    assert_eq!(
        (&*error.to_string(), error.code()),
        (
            "event load is not allowed in state disabled",
            "illegal-transition"
        )
    );
}

#[test]
fn the_page_shows_every_row() {
    let page = lifecycle_markdown();
    assert_eq!(
        page.lines()
            .filter(|line| line.starts_with("| `") && line.matches('`').count() == 6)
            .count(),
        TRANSITIONS.len()
    );
    assert!(
        page.contains("after 1, 2, 4, 8, 16, 16, 16, 16, 16 seconds"),
        "{page}"
    );
}

proptest! {
    #[test]
    fn no_jump_outside_the_table(steps in prop::collection::vec((select(Event::ALL), 0_u64..100_000), 0..200)) {
        let mut machine = Machine::new();
        let mut now = 0_u64;
        for (event, passes) in steps {
            now += passes;
            let before = machine.clone();
            match machine.step(event, now) {
                Ok(step) => {
                    prop_assert_eq!(step.from, before.state());
                    let mut at = step.from;
                    for state in step.entered() {
                        prop_assert!(TRANSITIONS.iter().any(|(from, _, to)| *from == at && *to == state), "{at} -> {state}");
                        at = state;
                    }
                    prop_assert_eq!(at, machine.state());
                    if event == Event::Crash && step.from != State::Unloading {
                        let in_a_row = machine.crashes(now);
                        prop_assert!((1..=10).contains(&in_a_row));
                        prop_assert_eq!(machine.state() == State::Disabled, in_a_row == 10);
                    }
                }
                Err(_) => prop_assert_eq!(&machine, &before, "a refused event changes nothing"),
            }
            prop_assert_eq!(machine.retry_at().is_some(), machine.state() == State::Failed);
            prop_assert_eq!(machine.is_running(), machine.health() == Health::Healthy);
            prop_assert_eq!(machine.is_enabled(), machine.health() != Health::Disabled);
            prop_assert!(machine.crashes(now) <= 10);
        }
    }

    #[test]
    fn waits_double_from_one_second_to_sixteen(attempt in 1_u32..) {
        let expected = if attempt >= 5 { 16_000 } else { 1_000 << (attempt - 1) };
        prop_assert_eq!(backoff_ms(attempt), expected);
        prop_assert!(next(State::Disabled, Event::Load).is_none());
    }
}

#[test]
fn an_operator_may_want_plugins_back_sooner() {
    let delays = |first_ms: u64| -> Vec<u64> {
        let mut machine = Machine::new().restarting_after(first_ms);
        let (mut now_ms, mut delays) = (0, Vec::new());
        [Event::Accept, Event::Load]
            .into_iter()
            .for_each(|event| drop(machine.step(event, now_ms).unwrap()));
        while machine.state() != State::Disabled {
            machine.step(Event::Crash, now_ms).unwrap();
            if let Some(at) = machine.retry_at() {
                delays.push(at - now_ms);
                now_ms = at;
                machine.step(Event::Retry, now_ms).unwrap();
            }
        }
        delays
    };
    assert_eq!(delays(1), [1, 2, 4, 8, 16, 16, 16, 16, 16]);
    assert_eq!(
        delays(1_000),
        [
            1_000, 2_000, 4_000, 8_000, 16_000, 16_000, 16_000, 16_000, 16_000
        ],
        "the operator's first wait scales the others"
    );
    assert_eq!(delays(u64::MAX), delays(1_000), "never later");
}

#[test]
fn an_update_that_does_not_start_is_tried_like_a_start_and_the_old_version_stays() {
    let mut machine = started(0);
    let mut at = 0;
    for attempt in 1..10 {
        let effects = machine.update_failed(at, "2.0.0", "it traps", false);
        assert_eq!(records(&effects), ["update_failed"]);
        at += backoff_ms(attempt);
        assert_eq!(effects[1], Effect::RetryUpdateAt(at));
        let status = machine.status(at);
        assert_eq!((status.state, status.retry_at), (State::Loaded, Some(at)));
        assert_eq!(
            status.reason.as_deref(),
            Some("the update to 2.0.0 does not start: it traps")
        );
    }
    let last = machine.update_failed(at, "2.0.0", "it traps", false);
    assert_eq!(records(&last), ["update_failed", "update_abandoned"]);
    assert_eq!(machine.status(at).retry_at, None);
    assert!(machine.is_running());
    machine.forget_update();
    assert_eq!(machine.status(at).reason, None);
    let last = machine.update_failed(at, "2.0.1", "no component", true);
    assert_eq!(
        records(&last),
        ["update_failed", "update_abandoned"],
        "it would fail again"
    );
    machine.step_because(Event::Crash, at, "a trap").unwrap();
    assert_eq!(machine.status(at).last_crash.as_deref(), Some("a trap"));
    machine.step(Event::Unload, at).unwrap();
    assert_eq!(
        machine.update_retry_at(),
        None,
        "the new files are the plugin's files now"
    );
}

//! Requests for decisions.

use limits::dispatch::{DECISION_MARGIN_MS, DECISION_MAX_MS};
use plugin_bus::{DecisionRequest, Ticket};

#[test]
fn plugins_have_less_time_than_the_gateway_waits() {
    let plugins_ms = |limit_ms| {
        let ticket = Ticket(0);
        DecisionRequest { ticket, limit_ms }.plugins_ms()
    };
    assert_eq!(
        plugins_ms(DECISION_MAX_MS as u32),
        DECISION_MAX_MS - DECISION_MARGIN_MS
    );
    assert_eq!(plugins_ms(100), 50, "at least half of a short limit");
    assert_eq!(plugins_ms(1), 1);
}

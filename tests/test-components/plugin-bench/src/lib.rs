//! A plugin that does next to nothing, so that what is measured around it is the host's own work. What it is not: an example to copy.
//!
//! Its id stands in the component as text of fixed length: measurements make many plugins of one component by writing other digits there.

use plugin_sdk::{
    Context, Disposition, Event, Plugin, Request, Response, Result, events, kv, log, settings,
};
use std::time::{Duration, Instant};

struct Bench;

impl Plugin for Bench {
    fn activate(_: Context) -> Result<Self> {
        Ok(Self)
    }

    /// `/` answers at once, `/burn/<milliseconds>` computes first.
    fn on_request(&mut self, request: Request) -> Result<Response> {
        if let Some(milliseconds) = request.path.strip_prefix("/burn/") {
            burn(milliseconds.parse().unwrap_or(0));
        }
        Ok(Response::text("hello"))
    }

    /// The payload is a word: which calls into the host to make.
    fn on_event(&mut self, event: Event) -> Result<Disposition> {
        match event.payload.trim_matches('"') {
            "three" => {
                kv::get("counter")?;
                settings::get("greeting");
                events::publish(&event.server_id, "tell", "{}", None, None)?;
            }
            "kv" => drop(kv::get("counter")?),
            "settings" => drop(settings::get("greeting")),
            "publish" => events::publish(&event.server_id, "tell", "{}", None, None)?,
            "log" => log::write(log::Level::Info, "an event came", None),
            _ => {}
        }
        Ok(Disposition::Relay)
    }
}

/// Computes for so long by the clock.
fn burn(milliseconds: u64) {
    let end = Instant::now() + Duration::from_millis(milliseconds);
    let mut sum = 0_u64;
    while Instant::now() < end {
        for at in 0..100_000_u64 {
            sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(at));
        }
    }
}

plugin_sdk::plugin!(Bench);

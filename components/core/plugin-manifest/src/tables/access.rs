//! What a plugin asks to be allowed, and the resources that it uses.

use crate::{
    format::Format,
    shape::{Record, Shape},
    tables::{HOST, METHOD, PORT, TEXT, count, may, must},
};
use limits::{manifest::TEXT_CHARS_MAX, plugin::REQUEST_INSTANCES_MAX};

pub(super) static CAPABILITY_RECORD: Record = Record {
    name: "capability",
    closed: true,
    about: "A capability with its scope; a bare id stands for an unscoped, required one. Which scope keys a capability takes is listed below.",
    fields: &[
        must("id", Shape::Format(Format::Capability), "The capability."),
        may("optional", Shape::Bool, "The plugin works without it."),
        may(
            "reason",
            Shape::Text {
                min: 0,
                max: TEXT_CHARS_MAX,
            },
            "Why it is needed, for the person who grants it.",
        ),
        may(
            "hosts",
            Shape::List(&HOST),
            "Hosts: `*`, an exact name, or `*.example.com` with the apex.",
        ),
        may("methods", Shape::List(&METHOD), "HTTP methods."),
        may("ports", Shape::List(&PORT), "Ports."),
        may("paths", Shape::List(&TEXT), "Paths."),
        may(
            "names",
            Shape::List(&TEXT),
            "Names of keys, tools, commands, variables, events.",
        ),
    ],
    spellings: &[],
};

pub(super) static NETWORK: Record = Record {
    name: "network",
    closed: false,
    about: "Bounds of outbound requests, intersected with the operator's.",
    fields: &[
        may("allowed_domains", Shape::List(&HOST), "Hosts it may ask."),
        may("require_https", Shape::Bool, "Refuse plain http."),
        may(
            "rate_limit_rpm",
            count(1_000_000),
            "Requests a minute; 60 when absent.",
        ),
    ],
    spellings: &[],
};

pub(super) static LIMITS: Record = Record {
    name: "limits",
    closed: false,
    about: "Resources.",
    fields: &[
        may(
            "fuelPerCall",
            count(1_000_000_000_000),
            "Instructions of one call; the operator may give less.",
        ),
        may("memoryMiB", count(4_096), "Memory of one instance."),
        may(
            "responseTimeoutMs",
            count(3_600_000),
            "Time for one answer.",
        ),
        may(
            "requestInstances",
            count(REQUEST_INSTANCES_MAX as u64),
            "Instances for requests at once, and as many each for tools and hooks; 4 when absent. 1 for a plugin that keeps something in memory from one request to the next.",
        ),
        may(
            "maxHostcallsPerSec",
            count(1_000_000),
            "Calls of the host each second that need a capability; more are refused as `rate-limited`.",
        ),
        may(
            "maxBytesWritten",
            count(1 << 40),
            "Bytes of values and secrets written since it was started; more are refused as `quota-exceeded`.",
        ),
        may(
            "maxToolDurationSecs",
            count(86_400),
            "Time for one tool call.",
        ),
    ],
    spellings: &[],
};

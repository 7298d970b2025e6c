//! Settings of a plugin, and its optional features.

use crate::{
    choices::SettingType,
    format::Format,
    shape::{Record, Shape},
    tables::{CAPABILITY, TEXT, may, must},
};
use limits::manifest::{DESCRIPTION_CHARS_MAX, TITLE_CHARS_MAX};

/// One setting.
pub(crate) static SETTING: Record = Record {
    name: "setting",
    closed: false,
    about: "A setting. Secrets are written, never read back.",
    fields: &[
        must("type", Shape::Choice(SettingType::NAMES), "Its type."),
        may(
            "title",
            Shape::Text {
                min: 0,
                max: TITLE_CHARS_MAX,
            },
            "Label.",
        ),
        may(
            "description",
            Shape::Text {
                min: 0,
                max: DESCRIPTION_CHARS_MAX,
            },
            "Explanation.",
        ),
        may("default", Shape::Any, "Value when nothing is set."),
        may(
            "required",
            Shape::Bool,
            "The plugin does not work without it.",
        ),
        may("secret", Shape::Bool, "Stored apart and never shown."),
        may(
            "env",
            Shape::Text {
                min: 1,
                max: TITLE_CHARS_MAX,
            },
            "Environment variable that is read when nothing is set.",
        ),
        may(
            "pattern",
            Shape::Text {
                min: 0,
                max: limits::plugin_event::SCHEMA_PATTERN_CHARS_MAX,
            },
            "Regular expression of a text.",
        ),
        may(
            "minLength",
            Shape::Integer {
                min: 0,
                max: 1 << 20,
            },
            "Fewest characters of a text.",
        ),
        may(
            "maxLength",
            Shape::Integer {
                min: 0,
                max: 1 << 20,
            },
            "Most characters of a text.",
        ),
        may("min", Shape::Number, "Lowest number."),
        may("max", Shape::Number, "Highest number."),
        may("step", Shape::Number, "Distance of numbers in a form."),
        may("values", Shape::List(&TEXT), "Admitted texts of an enum."),
        may("items", Shape::Setting, "What an array holds."),
        may(
            "maxItems",
            Shape::Integer {
                min: 0,
                max: 100_000,
            },
            "Most entries of an array.",
        ),
        may(
            "properties",
            Shape::Map(None, &Shape::Setting),
            "What an object holds.",
        ),
    ],
    spellings: &[],
};

pub(super) static FEATURE: Record = Record {
    name: "feature",
    closed: false,
    about: "A part that can be switched on.",
    fields: &[
        must(
            "description",
            Shape::Text {
                min: 0,
                max: DESCRIPTION_CHARS_MAX,
            },
            "What it adds.",
        ),
        may("default", Shape::Bool, "On unless switched off."),
        may("entry", Shape::Format(Format::Path), "File it loads."),
        may(
            "additionalCapabilities",
            Shape::List(&CAPABILITY),
            "What it asks for beyond the plugin's own.",
        ),
    ],
    spellings: &[],
};

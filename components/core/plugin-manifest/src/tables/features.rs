//! What a plugin adds to the host: events, tools, data, loaders, themes.

use crate::{
    choices::{DataScope, DataStorage, Direction, Tier},
    format::Format,
    shape::{Record, Shape, Spellings},
    tables::{count, may, must},
};
use limits::{
    manifest::{DESCRIPTION_CHARS_MAX, TITLE_CHARS_MAX},
    plugin_event::PAYLOAD_BYTES_MAX,
};

pub(super) static EVENT: Record = Record {
    name: "event",
    closed: false,
    about: "A plugin event.",
    fields: &[
        must("eventName", Shape::Format(Format::EventName), "Its name."),
        must(
            "direction",
            Shape::Choice(Direction::NAMES),
            "Which way it goes.",
        ),
        must(
            "scope",
            Shape::Choice(DataScope::NAMES),
            "Whom it concerns.",
        ),
        may(
            "schema",
            Shape::Schema,
            "JSON Schema of its payload: object, boolean, or JSON text.",
        ),
        may(
            "maxPayloadBytes",
            count(PAYLOAD_BYTES_MAX as u64),
            "Largest payload as compact JSON; 65,536 when absent.",
        ),
    ],
    spellings: &[],
};

pub(super) static TOOL: Record = Record {
    name: "tool",
    closed: false,
    about: "A tool.",
    fields: &[
        must("name", Shape::Format(Format::ToolName), "Its name."),
        must(
            "description",
            Shape::Text {
                min: 0,
                max: DESCRIPTION_CHARS_MAX,
            },
            "What it does.",
        ),
        may(
            "parameters",
            Shape::Schema,
            "JSON Schema of its parameters.",
        ),
        may(
            "tier",
            Shape::Choice(Tier::NAMES),
            "What it may do; `exec` when absent.",
        ),
    ],
    spellings: &[],
};

pub(super) static DATA: Record = Record {
    name: "data",
    closed: false,
    about: "A value the plugin keeps.",
    fields: &[
        must(
            "key",
            Shape::Text {
                min: 1,
                max: TITLE_CHARS_MAX,
            },
            "Its key.",
        ),
        must(
            "scope",
            Shape::Choice(DataScope::NAMES),
            "Whom it concerns.",
        ),
        must(
            "storage",
            Shape::Choice(DataStorage::NAMES),
            "Where it is kept.",
        ),
        may(
            "schema",
            Shape::Schema,
            "JSON Schema of the value: object, boolean, or JSON text.",
        ),
    ],
    spellings: &[],
};

pub(super) static PLUGIN_USER: Record = Record {
    name: "pluginUser",
    closed: false,
    about: "A plugin's own identity, `plugin:<id>` unless it names one.",
    fields: &[
        may(
            "displayName",
            Shape::Text {
                min: 1,
                max: TITLE_CHARS_MAX,
            },
            "Name that others see.",
        ),
        may(
            "name",
            Shape::Text {
                min: 1,
                max: TITLE_CHARS_MAX,
            },
            "Another spelling of `displayName`.",
        ),
        may(
            "id",
            Shape::Text {
                min: 1,
                max: TITLE_CHARS_MAX,
            },
            "Its own id.",
        ),
        may("avatarUrl", Shape::Format(Format::LinkOrPath), "Picture."),
    ],
    spellings: &[Spellings {
        names: &["displayName", "name"],
        required: true,
        may_differ: false,
    }],
};

pub(super) static FILE_LOADER: Record = Record {
    name: "fileLoader",
    closed: false,
    about: "A kind of file.",
    fields: &[
        must(
            "fileType",
            Shape::Text {
                min: 1,
                max: TITLE_CHARS_MAX,
            },
            "Name of the kind.",
        ),
        must(
            "supportedExtensions",
            Shape::List(&Shape::Format(Format::Extension)),
            "Extensions without dots.",
        ),
    ],
    spellings: &[],
};

pub(super) static DATA_SOURCE: Record = Record {
    name: "dataSource",
    closed: false,
    about: "A source of data.",
    fields: &[must(
        "displayName",
        Shape::Text {
            min: 1,
            max: TITLE_CHARS_MAX,
        },
        "Name for people.",
    )],
    spellings: &[],
};

pub(super) static EXPORTER: Record = Record {
    name: "exporter",
    closed: false,
    about: "An exporter.",
    fields: &[must(
        "outputExtension",
        Shape::Format(Format::Extension),
        "Extension of what it writes.",
    )],
    spellings: &[],
};

pub(super) static THEME: Record = Record {
    name: "theme",
    closed: false,
    about: "A theme and its variants.",
    fields: &[
        must(
            "family",
            Shape::Text {
                min: 1,
                max: TITLE_CHARS_MAX,
            },
            "Name of the family.",
        ),
        must(
            "catalog",
            Shape::List(&Shape::Any),
            "Variants: pairs of a name and whether it is dark.",
        ),
    ],
    spellings: &[],
};

//! Other plugins, and the order of loading.

use crate::{
    choices::Priority,
    format::Format,
    shape::{Record, Shape, Spellings},
    tables::{RELATION, may},
};

pub(super) static RELATIONSHIPS: Record = Record {
    name: "relationships",
    closed: false,
    about: "Other plugins, each by bare id or as an object with a range.",
    fields: &[
        may(
            "requires",
            Shape::List(&RELATION),
            "Plugins without which it is blocked.",
        ),
        may(
            "optional",
            Shape::List(&RELATION),
            "Plugins activated before it, if present.",
        ),
        may(
            "conflicts",
            Shape::List(&RELATION),
            "Plugins with which it is blocked.",
        ),
        may(
            "before",
            Shape::List(&RELATION),
            "Plugins that are activated after it.",
        ),
        may(
            "after",
            Shape::List(&RELATION),
            "Plugins that are activated before it.",
        ),
    ],
    spellings: &[],
};

pub(super) static RELATION_RECORD: Record = Record {
    name: "relation",
    closed: false,
    about: "Another plugin.",
    fields: &[
        may("pluginId", Shape::Format(Format::PluginId), "Its id."),
        may(
            "id",
            Shape::Format(Format::PluginId),
            "Another spelling of `pluginId`.",
        ),
        may(
            "versionRange",
            Shape::Format(Format::Range),
            "Versions that are meant; all when absent.",
        ),
    ],
    spellings: &[Spellings {
        names: &["pluginId", "id"],
        required: true,
        may_differ: false,
    }],
};

pub(super) static LOAD: Record = Record {
    name: "load",
    closed: false,
    about: "Activation.",
    fields: &[may(
        "priority",
        Shape::Choice(Priority::NAMES),
        "Class among plugins activated together; ties go by id.",
    )],
    spellings: &[],
};

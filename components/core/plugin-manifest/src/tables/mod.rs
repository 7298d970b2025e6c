//! The fields of a manifest as tables. A new field needs a line here and a field in `types`.

mod access;
mod features;
mod package;
mod relations;
mod settings;

pub(crate) use settings::SETTING;

use crate::{
    choices::{Kind, OnFailure, PluginScope, Role},
    format::Format,
    shape::{Field, Record, Shape},
};
use access::{CAPABILITY_RECORD, LIMITS, NETWORK};
use features::{DATA, DATA_SOURCE, EVENT, EXPORTER, FILE_LOADER, PLUGIN_USER, THEME, TOOL};
use limits::manifest::{AUTHOR_CHARS_MAX, DESCRIPTION_CHARS_MAX, TEXT_CHARS_MAX, TITLE_CHARS_MAX};
use package::{AUTHOR_RECORD, BUNDLE, COMPATIBILITY, ENTRY, ORIGIN, PUBLISHER};
use relations::{LOAD, RELATION_RECORD, RELATIONSHIPS};
use settings::FEATURE;

const fn may(name: &'static str, shape: Shape, meaning: &'static str) -> Field {
    Field {
        name,
        required: false,
        shape,
        meaning,
    }
}

const fn must(name: &'static str, shape: Shape, meaning: &'static str) -> Field {
    Field {
        name,
        required: true,
        shape,
        meaning,
    }
}

const fn count(max: u64) -> Shape {
    Shape::Integer { min: 1, max }
}

static TEXT: Shape = Shape::Text {
    min: 0,
    max: TEXT_CHARS_MAX,
};

static NAME: Shape = Shape::Text {
    min: 1,
    max: TITLE_CHARS_MAX,
};

static DIGEST: Shape = Shape::Format(Format::Digest);

static PLUGIN_ID: Shape = Shape::Format(Format::PluginId);

static HOST: Shape = Shape::Format(Format::Host);

static METHOD: Shape = Shape::Format(Format::Method);

static PORT: Shape = Shape::Integer {
    min: 1,
    max: 65_535,
};

static ROLE: Shape = Shape::Choice(Role::NAMES);

static CAPABILITY: Shape = Shape::TextOr(
    &Shape::Format(Format::Capability),
    &Shape::Record(&CAPABILITY_RECORD),
);

static RELATION: Shape = Shape::TextOr(&PLUGIN_ID, &Shape::Record(&RELATION_RECORD));

static AUTHOR: Shape = Shape::TextOr(
    &Shape::Text {
        min: 1,
        max: AUTHOR_CHARS_MAX,
    },
    &Shape::Record(&AUTHOR_RECORD),
);

/// The whole manifest.
pub(crate) static MANIFEST: Record = Record {
    name: "manifest",
    closed: false,
    about: "The manifest of a plugin, `jackfield.json`.",
    fields: &[
        must(
            "schemaVersion",
            Shape::One,
            "Version of this format: the number 1.",
        ),
        must(
            "id",
            Shape::Format(Format::PluginId),
            "The plugin's id, usually a reversed domain name.",
        ),
        must(
            "title",
            Shape::Text {
                min: 1,
                max: TITLE_CHARS_MAX,
            },
            "Name for people.",
        ),
        must(
            "description",
            Shape::Text {
                min: 0,
                max: DESCRIPTION_CHARS_MAX,
            },
            "What the plugin does.",
        ),
        must(
            "version",
            Shape::Format(Format::Version),
            "The plugin's own version.",
        ),
        must(
            "apiVersion",
            Shape::Format(Format::ApiVersion),
            "Version of the host API it is written for; a full version means `^version`.",
        ),
        must(
            "kind",
            Shape::Choice(Kind::NAMES),
            "What the plugin is made of.",
        ),
        must(
            "compatibility",
            Shape::Record(&COMPATIBILITY),
            "Versions of the host it works with.",
        ),
        may(
            "scope",
            Shape::Choice(PluginScope::NAMES),
            "Where it lives.",
        ),
        may(
            "roles",
            Shape::List(&ROLE),
            "Its roles in the application; they grant nothing.",
        ),
        may(
            "entrypoint",
            Shape::Format(Format::Path),
            "The file that is loaded, below the plugin's folder.",
        ),
        may(
            "entry",
            Shape::Record(&ENTRY),
            "Entrypoints for server and client, instead of `entrypoint`.",
        ),
        may(
            "bundle",
            Shape::Record(&BUNDLE),
            "Where a remote plugin is fetched from.",
        ),
        may(
            "integrity",
            Shape::Map(Some(Format::Path), &DIGEST),
            "Digest of files of the package, by path: a component or script with another one is not used.",
        ),
        may(
            "route",
            Shape::Format(Format::Route),
            "URL segment below which it answers requests.",
        ),
        may(
            "icon",
            Shape::Format(Format::LinkOrPath),
            "An emoji, a file of the package, or a URL.",
        ),
        may(
            "capabilities",
            Shape::List(&CAPABILITY),
            "The capabilities it needs; everything else is denied.",
        ),
        may(
            "network",
            Shape::Record(&NETWORK),
            "Bounds of its outbound requests.",
        ),
        may(
            "limits",
            Shape::Record(&LIMITS),
            "Resources it asks for; the host's own limits cap them.",
        ),
        may(
            "events",
            Shape::List(&Shape::Record(&EVENT)),
            "Plugin events it defines.",
        ),
        may("hooks", Shape::List(&NAME), "Hooks it takes part in."),
        may(
            "onFailure",
            Shape::Choice(OnFailure::NAMES),
            "What becomes of a hook or message that it decides about when it fails; `refuse` is not loosened by the host's default.",
        ),
        may(
            "tools",
            Shape::List(&Shape::Record(&TOOL)),
            "Tools it offers.",
        ),
        may(
            "data",
            Shape::List(&Shape::Record(&DATA)),
            "Values it stores.",
        ),
        may(
            "settings",
            Shape::Settings,
            "Its settings, from which a form is made: a map of settings, or a JSON Schema of an object.",
        ),
        may(
            "features",
            Shape::Map(None, &Shape::Record(&FEATURE)),
            "Parts that can be enabled separately.",
        ),
        may(
            "relationships",
            Shape::Record(&RELATIONSHIPS),
            "Dependencies, conflicts and order relative to other plugins.",
        ),
        may("load", Shape::Record(&LOAD), "When it is activated."),
        may(
            "pluginUser",
            Shape::Record(&PLUGIN_USER),
            "Identity of the messages it sends.",
        ),
        may(
            "ui",
            Shape::Object,
            "Contributions to the interface, as the client reads them.",
        ),
        may(
            "fileLoaders",
            Shape::List(&Shape::Record(&FILE_LOADER)),
            "Files it reads; needs the role `file-loader`.",
        ),
        may(
            "dataSource",
            Shape::Record(&DATA_SOURCE),
            "The data source it is; needs the role `data-source`.",
        ),
        may(
            "exporter",
            Shape::Record(&EXPORTER),
            "The exporter it is; needs the role `exporter`.",
        ),
        may("theme", Shape::Record(&THEME), "The theme it is."),
        may("authors", Shape::List(&AUTHOR), "Who wrote it."),
        may("homepage", Shape::Format(Format::Link), "Its page."),
        may(
            "bugs",
            Shape::Format(Format::Link),
            "Where faults are reported.",
        ),
        may(
            "repository",
            Shape::Format(Format::Link),
            "Where its source is.",
        ),
        may(
            "changelog",
            Shape::Format(Format::LinkOrPath),
            "Its list of changes.",
        ),
        may(
            "license",
            Shape::Text {
                min: 0,
                max: TEXT_CHARS_MAX,
            },
            "Its licence, by SPDX expression.",
        ),
        may(
            "readme",
            Shape::Format(Format::Path),
            "A file that describes it, below the plugin's folder.",
        ),
        may("tags", Shape::List(&NAME), "Words to find it by."),
        may("categories", Shape::List(&NAME), "Groups it belongs to."),
        may("publisher", Shape::Record(&PUBLISHER), "Who signs it."),
        may(
            "origin",
            Shape::Record(&ORIGIN),
            "What it was imported from; written by importers.",
        ),
    ],
    spellings: &[],
};

//! The fields of a manifest as tables. A new field needs a line here and a field in `types`.

use crate::{
    choices::{
        DataScope, DataStorage, Direction, Form, Kind, PluginScope, Priority, Role, SettingType,
        Tier,
    },
    shape::{Field, Format, Record, Shape, Spellings},
};
use limits::{
    manifest::{DESCRIPTION_CHARS_MAX, TEXT_CHARS_MAX, TITLE_CHARS_MAX},
    plugin_event::PAYLOAD_BYTES_MAX,
};

/// Characters of an author's name: under a hundred.
const AUTHOR_CHARS_MAX: usize = 99;

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
            "Digest of each file of the package, by path.",
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

static COMPATIBILITY: Record = Record {
    name: "compatibility",
    about: "Versions of the host. A minimum is required; above the verified version there is only a warning.",
    fields: &[
        may(
            "minimumHostVersion",
            Shape::Format(Format::Version),
            "Lowest version of the host.",
        ),
        may(
            "maximumHostVersion",
            Shape::Format(Format::Version),
            "Highest version of the host.",
        ),
        may(
            "verifiedHostVersion",
            Shape::Format(Format::Version),
            "Highest version it was tried with.",
        ),
        may(
            "minimumTojuVersion",
            Shape::Format(Format::Version),
            "Read where `minimumHostVersion` is absent.",
        ),
        may(
            "maximumTojuVersion",
            Shape::Format(Format::Version),
            "Read where `maximumHostVersion` is absent.",
        ),
        may(
            "verifiedTojuVersion",
            Shape::Format(Format::Version),
            "Read where `verifiedHostVersion` is absent.",
        ),
    ],
    spellings: &[
        Spellings {
            names: &["minimumHostVersion", "minimumTojuVersion"],
            required: true,
            may_differ: true,
        },
        Spellings {
            names: &["maximumHostVersion", "maximumTojuVersion"],
            required: false,
            may_differ: true,
        },
        Spellings {
            names: &["verifiedHostVersion", "verifiedTojuVersion"],
            required: false,
            may_differ: true,
        },
    ],
};

static ENTRY: Record = Record {
    name: "entry",
    about: "Entrypoints by place.",
    fields: &[
        may(
            "server",
            Shape::Format(Format::Path),
            "Loaded by the server.",
        ),
        may(
            "tui",
            Shape::Format(Format::Path),
            "Loaded by the terminal client.",
        ),
        may("both", Shape::Format(Format::Path), "Loaded by either."),
    ],
    spellings: &[],
};

static BUNDLE: Record = Record {
    name: "bundle",
    about: "A package that is fetched. Only https; plain http from this machine is for development and warned about.",
    fields: &[
        must(
            "url",
            Shape::Format(Format::FetchUrl),
            "Where the bundle is.",
        ),
        may(
            "entrypointUrl",
            Shape::Format(Format::FetchUrlOrPath),
            "The module to load, when it is not `url` itself.",
        ),
        may(
            "entrypoint",
            Shape::Format(Format::FetchUrlOrPath),
            "Another spelling of `entrypointUrl`.",
        ),
        may(
            "sha256",
            Shape::Format(Format::Digest),
            "Digest of what is fetched.",
        ),
        may(
            "integrity",
            Shape::Text {
                min: 1,
                max: TEXT_CHARS_MAX,
            },
            "Digests in the notation of subresource integrity.",
        ),
    ],
    spellings: &[Spellings {
        names: &["entrypointUrl", "entrypoint"],
        required: false,
        may_differ: false,
    }],
};

static CAPABILITY_RECORD: Record = Record {
    name: "capability",
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

static NETWORK: Record = Record {
    name: "network",
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

static LIMITS: Record = Record {
    name: "limits",
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

static EVENT: Record = Record {
    name: "event",
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

static TOOL: Record = Record {
    name: "tool",
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

static DATA: Record = Record {
    name: "data",
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

/// One setting.
pub(crate) static SETTING: Record = Record {
    name: "setting",
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

static FEATURE: Record = Record {
    name: "feature",
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

static RELATIONSHIPS: Record = Record {
    name: "relationships",
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

static RELATION_RECORD: Record = Record {
    name: "relation",
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

static LOAD: Record = Record {
    name: "load",
    about: "Activation.",
    fields: &[may(
        "priority",
        Shape::Choice(Priority::NAMES),
        "Class among plugins activated together; ties go by id.",
    )],
    spellings: &[],
};

static PLUGIN_USER: Record = Record {
    name: "pluginUser",
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

static FILE_LOADER: Record = Record {
    name: "fileLoader",
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

static DATA_SOURCE: Record = Record {
    name: "dataSource",
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

static EXPORTER: Record = Record {
    name: "exporter",
    about: "An exporter.",
    fields: &[must(
        "outputExtension",
        Shape::Format(Format::Extension),
        "Extension of what it writes.",
    )],
    spellings: &[],
};

static THEME: Record = Record {
    name: "theme",
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

static AUTHOR_RECORD: Record = Record {
    name: "author",
    about: "A person or group; a bare name will do.",
    fields: &[
        must(
            "name",
            Shape::Text {
                min: 1,
                max: AUTHOR_CHARS_MAX,
            },
            "Name, under a hundred characters.",
        ),
        may(
            "email",
            Shape::Text {
                min: 0,
                max: TEXT_CHARS_MAX,
            },
            "Mail address.",
        ),
        may("url", Shape::Format(Format::Link), "Page."),
    ],
    spellings: &[],
};

static PUBLISHER: Record = Record {
    name: "publisher",
    about: "Who signs the package.",
    fields: &[
        must(
            "keyId",
            Shape::Text {
                min: 1,
                max: TEXT_CHARS_MAX,
            },
            "Id of the key.",
        ),
        may(
            "signature",
            Shape::Text {
                min: 1,
                max: TEXT_CHARS_MAX,
            },
            "Signature, base64.",
        ),
    ],
    spellings: &[],
};

static ORIGIN: Record = Record {
    name: "origin",
    about: "What the manifest was imported from.",
    fields: &[
        must("form", Shape::Choice(Form::NAMES), "The foreign form."),
        may(
            "id",
            Shape::Text {
                min: 1,
                max: TEXT_CHARS_MAX,
            },
            "The id there, as written; it is an alias.",
        ),
    ],
    spellings: &[],
};

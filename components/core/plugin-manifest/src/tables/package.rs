//! What a package consists of, which hosts it fits, and where it comes from.

use crate::{
    choices::Form,
    format::Format,
    shape::{Record, Shape, Spellings},
    tables::{AUTHOR_CHARS_MAX, may, must},
};
use limits::manifest::TEXT_CHARS_MAX;

pub(super) static COMPATIBILITY: Record = Record {
    name: "compatibility",
    closed: false,
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

pub(super) static ENTRY: Record = Record {
    name: "entry",
    closed: false,
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

pub(super) static BUNDLE: Record = Record {
    name: "bundle",
    closed: false,
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

pub(super) static AUTHOR_RECORD: Record = Record {
    name: "author",
    closed: false,
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

pub(super) static PUBLISHER: Record = Record {
    name: "publisher",
    closed: false,
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

pub(super) static ORIGIN: Record = Record {
    name: "origin",
    closed: false,
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

//! The application that the host serves: a `spin.toml` that the operator names, or the one that is part of this program.

use anyhow::{Context as _, Result, bail};
use edge_host::{Application, EmbeddedFile};
use std::path::Path;

include!(concat!(env!("OUT_DIR"), "/application.rs"));

/// The manifest that replaces the embedded one when it lies in the working directory.
const LOCAL: &str = "spin.toml";

/// Where the application came from, for the log.
pub(crate) struct Found {
    pub(crate) application: Application,
    pub(crate) origin: String,
}

/// The application at `path`; without one, `spin.toml` in the working directory, else the embedded application.
///
/// # Errors
/// The manifest cannot be read or is not valid, or there is none.
pub(crate) fn find(path: Option<&Path>) -> Result<Found> {
    let local = Some(Path::new(LOCAL)).filter(|path| path.is_file());
    if let Some(path) = path.or(local) {
        return Ok(Found {
            application: Application::read(path)?,
            origin: path.display().to_string(),
        });
    }
    if MANIFEST.is_empty() {
        bail!(
            "this binary was built without components: name an application with --app spin.toml, or build with `cargo xtask build`"
        );
    }
    Ok(Found {
        application: Application::embedded(MANIFEST, FILES).context("the embedded application")?,
        origin: "embedded".to_owned(),
    })
}

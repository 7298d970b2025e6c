//! The code of a failed command, for scripts. The text of the error is for users.

use edge_host::{InUse, Unusable};
use plugin_store::StoreError;
use std::io::{self, ErrorKind};

/// An error with a code of its own.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Coded {
    /// The code.
    pub code: &'static str,
    /// The text.
    pub message: String,
}

/// The code of an error: that of the first cause that has one.
pub(crate) fn code(error: &anyhow::Error) -> &'static str {
    error.chain().find_map(code_of).unwrap_or("FAILED")
}

fn code_of(cause: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    if let Some(coded) = cause.downcast_ref::<Coded>() {
        return Some(coded.code);
    }
    if let Some(unusable) = cause.downcast_ref::<Unusable>() {
        return Some(unusable.code);
    }
    if let Some(error) = cause.downcast_ref::<StoreError>() {
        // For the operator the disk is full, whichever file was written.
        return Some(match error.code() {
            "DATABASE_FULL" => "DISK_FULL",
            code => code,
        });
    }
    if cause.is::<InUse>() {
        return Some("DATA_IN_USE");
    }
    if cause.is::<toml::de::Error>() {
        return Some("CONFIG_INVALID");
    }
    match cause.downcast_ref::<io::Error>()?.kind() {
        ErrorKind::AddrInUse => Some("PORT_IN_USE"),
        ErrorKind::AddrNotAvailable => Some("ADDRESS_NOT_HERE"),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Some("DISK_FULL"),
        ErrorKind::FileTooLarge => Some("FILE_SIZE_LIMIT"),
        ErrorKind::ReadOnlyFilesystem => Some("DISK_READ_ONLY"),
        ErrorKind::PermissionDenied => Some("PERMISSION_DENIED"),
        ErrorKind::NotFound => Some("NOT_FOUND"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Coded, code};
    use anyhow::{Context, anyhow};

    #[test]
    fn the_cause_names_the_code_whatever_was_said_around_it() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = taken.local_addr().expect("an address");
        let error = std::net::TcpListener::bind(address)
            .context("cannot listen")
            .context("outer")
            .expect_err("taken");
        assert_eq!(code(&error), "PORT_IN_USE");
        assert_eq!(
            code(
                &Err::<(), _>(Coded {
                    code: "X",
                    message: "y".into()
                })
                .context("z")
                .expect_err("coded")
            ),
            "X"
        );
        assert_eq!(code(&anyhow!("anything")), "FAILED");
    }
}

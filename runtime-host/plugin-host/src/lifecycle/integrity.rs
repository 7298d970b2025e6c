//! The digests that a manifest gives for files of its package.

use anyhow::{Result, ensure};
use plugin_manifest::Manifest;
use sha2::{Digest, Sha256};

/// Checks the bytes of the file `name` of a package. A file that the manifest gives no digest for passes.
///
/// # Errors
/// The bytes have another SHA-256 digest; the text names the file and both digests.
pub fn check_integrity(manifest: &Manifest, name: &str, bytes: &[u8]) -> Result<()> {
    let mut digests = manifest.integrity.iter();
    let Some((_, expected)) = digests.find(|(path, _)| path.as_str() == name) else {
        return Ok(());
    };
    let found: String = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    ensure!(
        found == *expected,
        "{name} has the SHA-256 digest {found}, and the manifest's integrity says {expected}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Digest, Manifest, Sha256, check_integrity};

    #[test]
    fn a_file_has_the_digest_that_the_manifest_gives() {
        let digest: String = Sha256::digest(b"whole")
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let text = format!(
            r#"{{"schemaVersion":1,"id":"tests.files","title":"T","description":"","version":"1.0.0","apiVersion":"1.0.0",
            "kind":"client","compatibility":{{"minimumHostVersion":"0.0.0"}},"entrypoint":"a.wasm","integrity":{{"a.wasm":"{digest}"}}}}"#
        );
        let manifest = plugin_manifest::parse(text.as_bytes());
        let manifest: Manifest = manifest.manifest.expect("a manifest");
        assert!(check_integrity(&manifest, "a.wasm", b"whole").is_ok());
        let failed = check_integrity(&manifest, "a.wasm", b"other");
        assert!(failed.expect_err("refused").to_string().contains("a.wasm"));
        assert!(check_integrity(&manifest, "b.wasm", b"other").is_ok());
    }
}

//! Compiled code inside the program's own file, behind its last section. It needs no digest: write access to it is
//! write access to the program itself. The layout is the code of each entry, an index, and a trailer with the length of
//! the index and a magic number.

use anyhow::{Context as _, Result, ensure};
use limits::sandbox::CODE_INDEX_BYTES_MAX;
use std::{
    collections::HashMap,
    fs::{self, File},
    io::{Read as _, Write as _},
    os::unix::fs::{FileExt as _, PermissionsExt as _},
    path::Path,
};

/// Marks a program that carries compiled code.
const MAGIC: [u8; 16] = *b"jackfield-code-1";
/// Bytes of the trailer: the length of the index, then [`MAGIC`].
const TRAILER_BYTES: u64 = 8 + MAGIC.len() as u64;

/// The compiled code that a program carries.
#[derive(Debug)]
pub(super) struct Bundle {
    program: File,
    /// Offset and length of each entry.
    entries: HashMap<String, (u64, u64)>,
    /// Where the code begins: the length of the program without it.
    begin: u64,
}

impl Bundle {
    /// The code that the file at `program` carries; none if it carries none.
    ///
    /// # Errors
    /// The file cannot be read, or its index is damaged.
    pub(super) fn open(program: &Path) -> Result<Option<Self>> {
        let program = File::open(program)?;
        let length = program.metadata()?.len();
        if length < TRAILER_BYTES {
            return Ok(None);
        }
        let mut trailer = [0; TRAILER_BYTES as usize];
        program.read_exact_at(&mut trailer, length - TRAILER_BYTES)?;
        let (index_bytes, magic) = trailer.split_at(8);
        if *magic != MAGIC {
            return Ok(None);
        }
        let index_bytes = u64::from_le_bytes(index_bytes.try_into()?);
        let index_at = (length - TRAILER_BYTES).checked_sub(index_bytes);
        let index_at = index_at
            .filter(|_| index_bytes <= CODE_INDEX_BYTES_MAX as u64)
            .context("the index of the embedded code is damaged")?;
        let mut index = vec![0; index_bytes as usize];
        program.read_exact_at(&mut index, index_at)?;
        let mut entries = HashMap::new();
        let mut begin = index_at;
        for line in std::str::from_utf8(&index)?.lines() {
            let mut words = line.split(' ');
            let mut next = || {
                words
                    .next()
                    .context("the index of the embedded code is damaged")
            };
            let (name, at, bytes) = (next()?, next()?.parse()?, next()?.parse()?);
            begin = begin.min(at);
            entries.insert(name.to_owned(), (at, bytes));
        }
        Ok(Some(Self {
            program,
            entries,
            begin,
        }))
    }

    /// The code of an entry.
    pub(super) fn read(&self, name: &str) -> Option<Vec<u8>> {
        let (at, bytes) = self.entries.get(name)?;
        let mut code = vec![0; usize::try_from(*bytes).ok()?];
        self.program.read_exact_at(&mut code, *at).ok()?;
        Some(code)
    }
}

/// Replaces the code that the file at `program` carries. The file is exchanged at once, so a running program is not
/// disturbed.
///
/// # Errors
/// The file cannot be read, or its folder cannot be written.
pub(super) fn replace(program: &Path, entries: &[(String, Vec<u8>)]) -> Result<()> {
    let length = match Bundle::open(program)? {
        Some(bundle) => bundle.begin,
        None => fs::metadata(program)?.len(),
    };
    let folder = program.parent().context("a program is in a folder")?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    std::io::copy(&mut File::open(program)?.take(length), &mut file)?;
    let mut index = String::new();
    let mut at = length;
    for (name, code) in entries {
        file.write_all(code)?;
        index += &format!("{name} {at} {}\n", code.len());
        at += code.len() as u64;
    }
    ensure!(index.len() <= CODE_INDEX_BYTES_MAX, "too many entries");
    file.write_all(index.as_bytes())?;
    file.write_all(&(index.len() as u64).to_le_bytes())?;
    file.write_all(&MAGIC)?;
    let mode = fs::metadata(program)?.permissions().mode();
    file.as_file()
        .set_permissions(fs::Permissions::from_mode(mode))?;
    file.persist(program)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Bundle, replace};
    use std::{fs, path::PathBuf};

    fn program(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("program");
        fs::write(&path, text).expect("a file");
        (folder, path)
    }

    fn entry(name: &str, code: &str) -> (String, Vec<u8>) {
        (name.to_owned(), code.as_bytes().to_vec())
    }

    #[test]
    fn a_program_carries_code_and_loses_it_for_other_code() {
        let text = "a program that is longer than a trailer";
        let (_folder, path) = program(text);
        assert!(Bundle::open(&path).expect("readable").is_none());
        replace(&path, &[entry("a", "one"), entry("b", "two!")]).expect("written");
        let bundle = Bundle::open(&path).expect("readable").expect("code");
        assert_eq!(bundle.read("a").as_deref(), Some(&b"one"[..]));
        assert_eq!(bundle.read("b").as_deref(), Some(&b"two!"[..]));
        assert_eq!(bundle.read("c"), None);
        replace(&path, &[entry("c", "three")]).expect("written");
        let bundle = Bundle::open(&path).expect("readable").expect("code");
        assert_eq!((bundle.read("a"), bundle.begin), (None, text.len() as u64));
        assert_eq!(bundle.read("c").as_deref(), Some(&b"three"[..]));
    }

    #[test]
    fn a_damaged_index_is_an_error_and_a_short_file_is_none() {
        let (_folder, path) = program("short");
        assert!(Bundle::open(&path).expect("readable").is_none());
        let mut damaged = u64::MAX.to_le_bytes().to_vec();
        damaged.extend(super::MAGIC);
        fs::write(&path, damaged).expect("a file");
        assert!(Bundle::open(&path).is_err());
    }
}

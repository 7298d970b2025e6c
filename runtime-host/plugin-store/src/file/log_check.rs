//! Looks for damage in a write-ahead log before SQLite reads it. SQLite takes the first frame whose checksum is wrong
//! for the end of the log, which is right after a crash in the middle of a write, and wrong when a disk has lost what
//! was written: everything after that place, all of it acknowledged, would be forgotten without a word.
//!
//! What tells the two apart: each commit is on disk before the next one begins (`synchronous = FULL`), so a crash can
//! harm the last commit alone. A frame of the same log that continues the checksum of a commit *behind* the harmed
//! place proves that the harmed commit had been finished. The log's own head is on disk before its first frame, so it
//! is never harmed by a crash while frames exist.
//!
//! It is no proof of soundness: damage within the very last commit looks like a crash, to SQLite and to this check.
//! The format: <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>.

use super::Unusable;
use std::{
    fs::File,
    io::{BufReader, ErrorKind, Read},
    path::Path,
};

const HEAD_BYTES: usize = 32;
const FRAME_HEAD_BYTES: usize = 24;
/// The smallest database: one page.
const PAGE_BYTES_MIN: usize = 512;
const PAGE_BYTES_MAX: usize = 65_536;

/// Checks the log of a database, if there is one.
///
/// # Errors
/// `DATABASE_CORRUPT`; when the file cannot be read.
pub(super) fn check(database: &Path) -> Result<(), Unusable> {
    let mut path = database.as_os_str().to_owned();
    path.push("-wal");
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Unusable::beside(Path::new(&path), &error)),
    };
    let bytes = file.metadata().map_or(0, |found| found.len());
    if bytes <= HEAD_BYTES as u64 {
        return Ok(());
    }
    if std::fs::metadata(database).map_or(0, |found| found.len()) < PAGE_BYTES_MIN as u64 {
        return Err(Unusable::corrupt(
            database,
            "the file is empty and its write-ahead log is not",
        ));
    }
    match finding(&mut BufReader::new(file))
        .map_err(|error| Unusable::beside(Path::new(&path), &error))?
    {
        None => Ok(()),
        Some(finding) => Err(Unusable::corrupt(
            database,
            format!("its write-ahead log {finding}"),
        )),
    }
}

/// What is wrong with a log that has a head and something behind it.
fn finding(log: &mut impl Read) -> std::io::Result<Option<String>> {
    let mut head = [0; HEAD_BYTES];
    log.read_exact(&mut head)?;
    let Some((mut sum, page_bytes)) = Sum::of_head(&head) else {
        return Ok(Some("has a damaged head".to_owned()));
    };
    let salt = &head[16..24];
    let mut frame = vec![0; FRAME_HEAD_BYTES + page_bytes];
    let mut harmed = None;
    let mut after_commit = false;
    for at in 1_u64.. {
        match log.read_exact(&mut frame) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
        sum.add(&frame[..8]);
        sum.add(&frame[FRAME_HEAD_BYTES..]);
        let stored = sum.stored(&frame[16..24]);
        let continues = frame[8..16] == *salt && sum.is(stored);
        match harmed {
            None if !continues => harmed = Some(at),
            Some(place) if continues && after_commit => {
                return Ok(Some(format!(
                    "is damaged at frame {place}, and commits that were finished stand behind it"
                )));
            }
            _ => {}
        }
        // The next frame is measured by what this one says of itself, so that a whole stretch behind the harm is known
        // by its own links.
        sum.set(stored);
        after_commit = harmed.is_some() && frame[8..16] == *salt && frame[4..8] != [0; 4];
    }
    Ok(None)
}

/// The running checksum.
struct Sum {
    pair: (u32, u32),
    big_endian: bool,
}

impl Sum {
    /// The checksum that a sound head begins, and the size of a page.
    fn of_head(head: &[u8; HEAD_BYTES]) -> Option<(Self, usize)> {
        let big_endian = match word(&head[..4]) {
            0x377f_0682 => false,
            0x377f_0683 => true,
            _ => return None,
        };
        let page_bytes = word(&head[8..12]) as usize;
        let mut sum = Self {
            pair: (0, 0),
            big_endian,
        };
        sum.add(&head[..24]);
        let sound = sum.is(sum.stored(&head[24..])) && page_bytes.is_power_of_two();
        (sound && (PAGE_BYTES_MIN..=PAGE_BYTES_MAX).contains(&page_bytes))
            .then_some((sum, page_bytes))
    }

    /// Adds bytes, a multiple of eight.
    fn add(&mut self, bytes: &[u8]) {
        let read = if self.big_endian {
            u32::from_be_bytes
        } else {
            u32::from_le_bytes
        };
        for pair in bytes.as_chunks::<8>().0 {
            let [a, b, c, d, e, f, g, h] = *pair;
            self.pair.0 = self
                .pair
                .0
                .wrapping_add(read([a, b, c, d]))
                .wrapping_add(self.pair.1);
            self.pair.1 = self
                .pair
                .1
                .wrapping_add(read([e, f, g, h]))
                .wrapping_add(self.pair.0);
        }
    }

    /// Stored checksums are big-endian, whatever the words are read as.
    fn stored(&self, bytes: &[u8]) -> (u32, u32) {
        (word(&bytes[..4]), word(&bytes[4..8]))
    }

    fn is(&self, stored: (u32, u32)) -> bool {
        self.pair == stored
    }

    fn set(&mut self, stored: (u32, u32)) {
        self.pair = stored;
    }
}

fn word(bytes: &[u8]) -> u32 {
    bytes
        .first_chunk()
        .map_or(0, |word| u32::from_be_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::finding;
    use rusqlite::Connection;
    use std::path::{Path, PathBuf};

    /// A database in `folder` with a log of ten commits, one or two frames each, and where the log is.
    fn logging(folder: &Path) -> (Connection, PathBuf) {
        let path = folder.join("a.db");
        let connection = Connection::open(&path).expect("a database");
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (x)",
            )
            .expect("a table");
        for at in 0..9 {
            connection
                .execute("INSERT INTO t VALUES (?1)", [at])
                .expect("a row");
        }
        (connection, folder.join("a.db-wal"))
    }

    fn log() -> Vec<u8> {
        let folder = tempfile::tempdir().expect("a folder");
        let (_open, log) = logging(folder.path());
        std::fs::read(log).expect("a log")
    }

    fn found_in(bytes: &[u8]) -> Option<String> {
        finding(&mut &*bytes).expect("readable")
    }

    #[test]
    fn a_sound_log_and_one_that_a_crash_cut_are_sound() {
        let log = log();
        assert_eq!(found_in(&log), None);
        for length in (32..log.len()).step_by(61) {
            assert_eq!(found_in(&log[..length]), None, "cut at {length}");
        }
    }

    #[test]
    fn damage_before_the_last_commit_is_found_wherever_it_is() {
        let log = log();
        let frame = 24 + 4096;
        let frames = (log.len() - 32) / frame;
        assert_eq!(frames * frame + 32, log.len());
        for at in (0..log.len() - 2 * frame)
            .step_by(97)
            .chain(0..32)
            .chain(32..56)
        {
            let mut log = log.clone();
            log[at] ^= 0x10;
            assert!(
                found_in(&log).is_some(),
                "byte {at}, frame {}",
                at.saturating_sub(32) / frame + 1
            );
        }
        // In the last commit it cannot be told from a crash.
        let mut last = log.clone();
        let end = last.len() - 100;
        last[end] ^= 0x10;
        assert_eq!(found_in(&last), None);
    }

    #[test]
    fn an_older_log_behind_a_newer_one_is_no_damage() {
        // A log that began anew: other salts, fewer frames, the old ones behind.
        let folder = tempfile::tempdir().expect("a folder");
        let (connection, log) = logging(folder.path());
        connection
            .query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(()))
            .expect("a checkpoint");
        connection
            .execute("INSERT INTO t VALUES (1)", [])
            .expect("a row");
        let log = std::fs::read(log).expect("a log");
        assert!(log.len() > 6 * 4120, "the old frames are still there");
        assert_eq!(found_in(&log), None);
    }
}

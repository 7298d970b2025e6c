//! Runs test programs, passes their output on, and adds up what became of the tests.

use crate::{command::show, workspace::Workspace};
use anyhow::{Context as _, Result, bail};
use std::{
    fs,
    io::{self, Read as _, Write as _},
    path::PathBuf,
    process::{Command, Stdio},
};

/// Named in `tests/support` as well: tests append to the file that this variable names.
const SKIPPED_FILE: &str = "JACKFIELD_SKIPPED_FILE";

/// Counts of tests.
pub(crate) struct Summary {
    skipped_file: PathBuf,
    passed: u64,
    failed: u64,
    ignored: u64,
    has_failed: bool,
}

impl Summary {
    /// Without any test yet.
    pub(crate) fn new(workspace: &Workspace) -> Result<Self> {
        fs::create_dir_all(&workspace.target)?;
        let skipped_file = workspace.target.join("skipped-tests.txt");
        fs::write(&skipped_file, "").with_context(|| skipped_file.display().to_string())?;
        Ok(Self {
            skipped_file,
            passed: 0,
            failed: 0,
            ignored: 0,
            has_failed: false,
        })
    }

    /// Runs a `cargo test`. Tests that fail are reported by [`Summary::print`].
    pub(crate) fn run(&mut self, command: &mut Command) -> Result<()> {
        eprintln!("  $ {}", show(command));
        let mut child = command
            .env(SKIPPED_FILE, &self.skipped_file)
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start: {}", show(command)))?;
        let mut output = child.stdout.take().context("a piped output")?;
        let (mut text, mut piece) = (Vec::new(), [0; 4_096]);
        loop {
            let length = output.read(&mut piece)?;
            if length == 0 {
                break;
            }
            text.extend_from_slice(&piece[..length]);
            let mut shown = io::stdout().lock();
            shown.write_all(&piece[..length])?;
            shown.flush()?;
        }
        self.count(&String::from_utf8_lossy(&text));
        self.has_failed |= !child.wait()?.success();
        Ok(())
    }

    /// Adds the lines `test result: ok. 3 passed; 0 failed; 1 ignored; ...`.
    fn count(&mut self, text: &str) {
        for line in text
            .lines()
            .filter(|line| line.starts_with("test result: "))
        {
            for (number, word) in line
                .split([';', '.'])
                .filter_map(|part| part.trim().split_once(' '))
            {
                let number = number.parse().unwrap_or(0);
                match word {
                    "passed" => self.passed += number,
                    "failed" => self.failed += number,
                    "ignored" => self.ignored += number,
                    _ => {}
                }
            }
        }
    }

    /// Prints the counts and each skipped test with its reason. Fails when a test did.
    pub(crate) fn print(&self) -> Result<()> {
        let skipped = fs::read_to_string(&self.skipped_file)?;
        let mut skipped: Vec<&str> = skipped.lines().collect();
        skipped.sort_unstable();
        eprintln!();
        for line in &skipped {
            eprintln!("skipped {line}");
        }
        // A skipped test returns early, which libtest counts as passed.
        let passed = self.passed.saturating_sub(skipped.len() as u64);
        eprintln!(
            "tests: {passed} passed, {} failed, {} skipped, {} long ones left out (--long runs them)",
            self.failed,
            skipped.len(),
            self.ignored
        );
        if self.has_failed {
            bail!("tests failed");
        }
        Ok(())
    }
}

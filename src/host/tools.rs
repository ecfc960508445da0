//! Running other programs: what they print on failure becomes part of the error, and nothing of it otherwise.

use anyhow::{Context, Result, bail};
use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use users::os::unix::UserExt;

/// A program with its arguments, run to its end.
pub struct Tool {
    command: Command,
    input: Vec<u8>,
}

impl Tool {
    /// A program, found in `PATH` or where distributions keep the ones of the administrator.
    pub fn new(program: impl AsRef<Path>) -> Self {
        let program = program.as_ref();
        let path = find(program).unwrap_or_else(|| program.to_owned());
        let mut command = Command::new(path);
        command.stdin(Stdio::piped());
        Self {
            command,
            input: Vec::new(),
        }
    }

    pub fn args<S: AsRef<std::ffi::OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    pub fn directory(mut self, directory: impl AsRef<Path>) -> Self {
        self.command.current_dir(directory);
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// What the program reads from standard input: secrets and texts that must not show in a process list.
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// Runs the program as this user, in that user's own group.
    pub fn user(mut self, name: &str) -> Result<Self> {
        let user = users::get_user_by_name(name).with_context(|| format!("no user {name}"))?;
        self.command
            .uid(user.uid())
            .gid(user.primary_group_id())
            .env("HOME", user.home_dir());
        Ok(self)
    }

    /// Runs the program as a Synapse process of this user does: in our group, with the user's own groups beside it.
    pub fn process_of(mut self, name: &str) -> Result<Self> {
        let user = users::get_user_by_name(name).with_context(|| format!("no user {name}"))?;
        let group = users::get_group_by_name(crate::paths::GROUP)
            .with_context(|| format!("no group {}", crate::paths::GROUP))?;
        let (uid, gid) = (Uid::from_raw(user.uid()), Gid::from_raw(group.gid()));
        let own = users::get_user_groups(name, user.primary_group_id()).unwrap_or_default();
        let groups: Vec<Gid> = own.iter().map(|one| Gid::from_raw(one.gid())).collect();
        self.command.env("HOME", user.home_dir());
        // SAFETY: three system calls on values that were made before; nothing is allocated and no lock is taken.
        unsafe {
            self.command.pre_exec(move || {
                setgroups(&groups)?;
                setgid(gid)?;
                Ok(setuid(uid)?)
            });
        }
        Ok(self)
    }

    /// Runs it and returns what it printed, whatever its exit status.
    pub fn output(mut self) -> Result<Output> {
        let name = self.command.get_program().to_string_lossy().into_owned();
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self
            .command
            .spawn()
            .with_context(|| format!("cannot run {name}"))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that does not read all of its input may well succeed: its status tells.
            let _ = stdin.write_all(&self.input);
        }
        child
            .wait_with_output()
            .with_context(|| format!("waiting for {name}"))
    }

    /// Runs it and returns its standard output; a failure carries the end of what it printed.
    pub fn run(self) -> Result<String> {
        let name = self.command.get_program().to_string_lossy().into_owned();
        let output = self.output()?;
        if !output.status.success() {
            bail!("{name} failed ({})\n{}", output.status, tail(&output, 12));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// The last lines of what a program printed, indented.
pub fn tail(output: &Output, lines: usize) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.trim_end().lines().collect();
    let last: Vec<String> = all[all.len().saturating_sub(lines)..]
        .iter()
        .map(|line| format!("    {line}"))
        .collect();
    last.join("\n")
}

/// Where a program is, if it is anywhere. `sudo` and cron leave the sbin directories out of `PATH` at times.
pub fn find(program: impl AsRef<Path>) -> Option<PathBuf> {
    let program = program.as_ref();
    which::which(program).ok().or_else(|| {
        let paths = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin";
        which::which_in(program, Some(paths), "/").ok()
    })
}

/// The last lines that a unit wrote to the journal, under its name.
pub fn journal(unit: &str, lines: usize) -> Option<String> {
    let output = Tool::new("journalctl")
        .args([
            "-u",
            unit,
            "-n",
            &lines.to_string(),
            "-o",
            "cat",
            "--no-pager",
            "-q",
        ])
        .output()
        .ok()?;
    Some(format!("  {unit}:\n{}\n", tail(&output, lines)))
}

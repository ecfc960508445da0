//! A program with its arguments, its input, its account and its limits.

use super::find::{PATH, find};
use super::output::{Output, tail};
use super::running;
use crate::host::confined::Sandbox;
use crate::state::paths;
use anyhow::{Context, Result, bail, ensure};
use nix::unistd::{Gid, Uid, setgid, setgroups, setsid, setuid};
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Environment variables that package managers receive as well: they say how to reach package archives.
const ARCHIVES: &[&str] = &[
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
];
/// Prefix of pip's environment variables.
const PIP: &str = "PIP_";

/// Default timeout of a program. All of these finish within a few seconds.
const QUICK: Duration = Duration::from_secs(60);
/// Default timeout of a program in a sandbox, which usually imports Synapse.
const CONFINED: Duration = Duration::from_secs(120);
/// The additional time for systemd-run beyond the timeout of the program that it waits for.
const GRACE: Duration = Duration::from_secs(30);
/// Timeout of a program that downloads packages over a slow connection.
pub const PACKAGES: Duration = Duration::from_secs(3600);

/// A program with its arguments, run until it exits.
pub struct Tool {
    name: String,
    path: Result<PathBuf>,
    args: Vec<OsString>,
    environment: Vec<(String, OsString)>,
    input: Vec<u8>,
    directory: PathBuf,
    account: Option<Account>,
    sandbox: Option<Sandbox>,
    limit: Duration,
    interruptible: bool,
    followed: bool,
}

/// The account of a program, by numbers.
struct Account {
    user: Uid,
    group: Gid,
    groups: Vec<Gid>,
}

impl Tool {
    /// A program by its name or path.
    pub fn new(program: impl AsRef<Path>) -> Self {
        let program = program.as_ref();
        Self {
            name: program.display().to_string(),
            path: find(program).with_context(|| format!("cannot run {}", program.display())),
            args: Vec::new(),
            environment: Vec::new(),
            input: Vec::new(),
            directory: PathBuf::from("/"),
            account: None,
            sandbox: None,
            limit: QUICK,
            interruptible: false,
            followed: false,
        }
    }

    /// A program that systemd runs in this sandbox, as the user of the sandbox and with its own environment. Other
    /// accounts may be able to replace it: the sandbox limits it.
    pub fn confined(sandbox: Sandbox, program: impl AsRef<Path>) -> Self {
        let program = program.as_ref();
        Self {
            name: program.display().to_string(),
            path: Ok(program.to_owned()),
            sandbox: Some(sandbox),
            limit: CONFINED,
            ..Self::new("systemd-run")
        }
    }

    /// Sets the name of the program in messages.
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment
            .push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sets the standard input: secrets and texts that must not appear in a process list.
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// Sets the working directory, `/` by default.
    pub fn directory(mut self, path: impl AsRef<Path>) -> Self {
        path.as_ref().clone_into(&mut self.directory);
        self
    }

    /// Sets the timeout.
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Makes an interruption of this program end it. Only for programs that can be run again after being killed at any
    /// point.
    pub fn interruptible(mut self) -> Self {
        self.interruptible = true;
        self
    }

    /// Shows each line of its output as the progress of the step that runs.
    pub fn followed(mut self) -> Self {
        self.followed = true;
        self
    }

    /// Passes the environment variables that say how to reach package archives.
    pub fn with_archives(mut self) -> Self {
        let known = |name: &str| ARCHIVES.contains(&name) || name.starts_with(PIP);
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            known(&name).then_some((name, value))
        });
        self.environment.extend(variables);
        self
    }

    /// Runs the program as this user, in the user's primary group.
    pub fn user(mut self, name: &str) -> Result<Self> {
        let user = users::get_user_by_name(name).with_context(|| format!("no user {name}"))?;
        let group = Gid::from_raw(user.primary_group_id());
        self.account = Some(Account {
            user: Uid::from_raw(user.uid()),
            group,
            groups: vec![group],
        });
        Ok(self)
    }

    /// Runs the program as a Synapse process of this user: in this program's group, with the user's own groups as
    /// supplementary groups.
    pub fn process_of(mut self, name: &str) -> Result<Self> {
        let user = users::get_user_by_name(name).with_context(|| format!("no user {name}"))?;
        let group = users::get_group_by_name(paths::GROUP)
            .with_context(|| format!("no group {}", paths::GROUP))?;
        let own = users::get_user_groups(name, user.primary_group_id()).unwrap_or_default();
        self.account = Some(Account {
            user: Uid::from_raw(user.uid()),
            group: Gid::from_raw(group.gid()),
            groups: own.iter().map(|one| Gid::from_raw(one.gid())).collect(),
        });
        Ok(self)
    }

    /// Runs the program and returns its output, whatever its exit status.
    ///
    /// # Errors
    /// When it cannot be started, exceeds its timeout, prints too much or is interrupted.
    pub fn output(mut self) -> Result<Output> {
        if let Some(sandbox) = self.sandbox.take() {
            ensure!(
                self.account.is_none() && self.environment.is_empty(),
                "{}: a sandbox has its own user and environment",
                self.name
            );
            let (program, args) = (self.path?.into_os_string(), self.args);
            let words: Vec<OsString> = [program].into_iter().chain(args).collect();
            let (command, unit) = sandbox.command(&words, self.limit);
            let task = Self {
                input: self.input,
                limit: self.limit + GRACE,
                interruptible: self.interruptible,
                ..Self::new("systemd-run")
            };
            let output = task.args(command).output();
            if output.is_err() {
                // systemd-run has exited, but the service that it waited for may still run.
                let _ = Self::new("systemctl")
                    .args(["stop", "--quiet", &unit])
                    .output();
            }
            return output;
        }
        let child = self.start(Stdio::piped())?;
        self.finish(child)
    }

    /// Waits for the end of the program.
    fn finish(&self, child: Child) -> Result<Output> {
        running::finish(
            child,
            &self.name,
            &self.input,
            self.limit,
            self.interruptible,
            self.followed,
        )
    }

    /// Runs this program and another one, which reads the output of this one as its input. Returns the outputs of both;
    /// the first one has only standard error.
    ///
    /// # Errors
    /// When one of them cannot be started, exceeds its timeout, prints too much or is interrupted.
    pub fn piped_to(self, reader: Self) -> Result<(Output, Output)> {
        let mut writing = self.start(Stdio::null())?;
        let pipe = writing.stdout.take().map_or(Stdio::null(), Stdio::from);
        // If the reader does not start, the pipe is closed, which ends the writer.
        let reading = reader.start(pipe);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| self.finish(writing));
            let read = reading.and_then(|child| reader.finish(child));
            let wrote = writer.join();
            let wrote = wrote.unwrap_or_else(|_| bail!("{}: a bug in this program", self.name));
            Ok((wrote?, read?))
        })
    }

    /// The name of the program in messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn start(&self, stdin: Stdio) -> Result<Child> {
        let path = match &self.path {
            Ok(path) => path,
            Err(error) => bail!("{error:#}"),
        };
        let mut command = Command::new(path);
        command
            .args(&self.args)
            .current_dir(&self.directory)
            .env_clear()
            .env("PATH", PATH)
            .env("LANG", "C.UTF-8")
            .env("TMPDIR", "/tmp")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let account = self.account.as_ref();
        let account = account.map(|one| (one.groups.clone(), one.group, one.user));
        // SAFETY: system calls on values that were created before; nothing is allocated and no lock is taken.
        unsafe {
            command.pre_exec(move || {
                setsid()?;
                if let Some((groups, group, user)) = &account {
                    setgroups(groups)?;
                    setgid(*group)?;
                    setuid(*user)?;
                }
                Ok(nix::sys::prctl::set_no_new_privs()?)
            });
        }
        command
            .spawn()
            .with_context(|| format!("cannot run {}", self.name))
    }

    /// Runs the program and returns its standard output. An error contains the end of its output.
    pub fn run(self) -> Result<String> {
        let name = self.name.clone();
        let output = self.output()?;
        if !output.status.success() {
            bail!("{name} failed ({})\n{}", output.status, tail(&output, 12));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

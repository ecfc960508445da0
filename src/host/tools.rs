//! Running other programs. Only this module starts any.
//!
//! Root works next to accounts that may be compromised, in directories that other accounts may write. So a program must
//! be one that only root can replace. It starts in `/`, with a clean environment, without a controlling terminal into
//! which it could type, without new privileges, and with a timeout. Programs of a service account are not started here
//! but by systemd, in the sandbox of that account's service: see [`super::confined`].

use super::confined::Sandbox;
use super::files;
use super::interruption;
use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Gid, Pid, Uid, setgid, setgroups, setsid, setuid};
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// The search path for programs, independent of the environment. `sudo` and cron sometimes leave out the directories of
/// the administrator's programs, and a directory that was added may contain any program.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

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
/// Timeout of a program that downloads packages over a slow connection.
pub const PACKAGES: Duration = Duration::from_secs(3600);
/// Limit on standard output and on standard error, in bytes. A program that prints more is faulty.
const LARGEST: u64 = 8 << 20;

/// A program with its arguments, run until it exits.
pub struct Tool {
    name: String,
    path: Result<PathBuf>,
    args: Vec<std::ffi::OsString>,
    environment: Vec<(String, std::ffi::OsString)>,
    input: Vec<u8>,
    account: Option<Account>,
    sandbox: Option<Sandbox>,
    pub(super) limit: Duration,
    interruptible: bool,
}

/// The account of a program, by numbers.
struct Account {
    user: Uid,
    group: Gid,
    groups: Vec<Gid>,
}

/// The output and the exit status of a program.
#[derive(Debug)]
pub struct Output {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
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
            account: None,
            sandbox: None,
            limit: QUICK,
            interruptible: false,
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
        let group = users::get_group_by_name(crate::state::paths::GROUP)
            .with_context(|| format!("no group {}", crate::state::paths::GROUP))?;
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
            let words = [program].into_iter().chain(args).collect();
            let task = Self {
                input: self.input,
                limit: self.limit,
                interruptible: self.interruptible,
                ..Self::new("systemd-run")
            };
            return sandbox.output(words, task);
        }
        let name = self.name.clone();
        let mut child = self.start()?;
        let (done, ended) = channel();
        let (input, limit, interruptible) = (&self.input, self.limit, self.interruptible);
        let excess = AtomicBool::new(false);
        let (stdin, out, err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let group = Pid::from_raw(child.id().cast_signed());
        let (stdout, stderr, cut) = std::thread::scope(|scope| {
            let watch = scope.spawn(move || watch(group, &ended, limit, interruptible));
            scope.spawn(move || {
                if let Some(mut stdin) = stdin {
                    // A program that does not read all of its input may still succeed; its exit status decides.
                    let _ = stdin.write_all(input);
                }
            });
            let stderr = scope.spawn(|| collect(err, group, &excess));
            let stdout = collect(out, group, &excess);
            let stderr = stderr.join().unwrap_or_default();
            let _ = done.send(());
            (stdout, stderr, watch.join().unwrap_or_default())
        });
        let status = child
            .wait()
            .with_context(|| format!("waiting for {name}"))?;
        ensure!(
            !excess.into_inner(),
            "{name} printed more than {LARGEST} bytes and was ended"
        );
        match cut {
            Some(Cut::Late) => bail!(
                "{name} did not end within {} s and was ended",
                limit.as_secs()
            ),
            Some(Cut::Interrupted) => bail!("{name} was ended: {}", interruption::ERROR),
            None => Ok(Output {
                status,
                stdout,
                stderr,
            }),
        }
    }

    fn start(&self) -> Result<Child> {
        let path = match &self.path {
            Ok(path) => path,
            Err(error) => bail!("{error:#}"),
        };
        let mut command = Command::new(path);
        command
            .args(&self.args)
            .current_dir("/")
            .env_clear()
            .env("PATH", PATH)
            .env("LANG", "C.UTF-8")
            .env("TMPDIR", "/tmp")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
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

/// Why a program was killed.
enum Cut {
    Late,
    Interrupted,
}

/// Kills the program and all its children when its time is over.
fn watch(group: Pid, ended: &Receiver<()>, limit: Duration, interruptible: bool) -> Option<Cut> {
    let begun = Instant::now();
    loop {
        let left = limit.saturating_sub(begun.elapsed());
        match ended.recv_timeout(left.min(interruption::INTERVAL)) {
            Err(RecvTimeoutError::Timeout) if left.is_zero() => {
                let _ = killpg(group, Signal::SIGKILL);
                return Some(Cut::Late);
            }
            Err(RecvTimeoutError::Timeout) if interruptible && interruption::came().is_some() => {
                let _ = killpg(group, Signal::SIGTERM);
                let _ = ended.recv_timeout(Duration::from_secs(5));
                let _ = killpg(group, Signal::SIGKILL);
                return Some(Cut::Interrupted);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
}

/// Reads a stream to its end. A program that prints too much is killed.
fn collect(stream: Option<impl Read>, group: Pid, excess: &AtomicBool) -> Vec<u8> {
    let mut text = Vec::new();
    let Some(stream) = stream else {
        return text;
    };
    let mut stream = stream.take(LARGEST + 1);
    // Output from before an error counts.
    let _ = stream.read_to_end(&mut text);
    if text.len() as u64 > LARGEST {
        excess.store(true, Ordering::Relaxed);
        let _ = killpg(group, Signal::SIGKILL);
    }
    text
}

/// The last lines of a program's output, indented.
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

/// The path of a program that only root can replace.
///
/// # Errors
/// When the program is missing, or another account could replace it.
pub fn find(program: impl AsRef<Path>) -> Result<PathBuf> {
    let program = program.as_ref();
    let found = which::which_in_all(program, Some(PATH), "/")
        .into_iter()
        .flatten();
    let mut other = None;
    for path in found {
        if files::only_root_can_replace(&path) {
            return Ok(path);
        }
        other.get_or_insert(path);
    }
    match other {
        Some(path) => bail!(
            "{} is a program that an account other than root could replace, so root does not run it",
            path.display()
        ),
        None => bail!("there is no such program"),
    }
}

/// The last lines in a unit's journal, under a heading with its name.
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

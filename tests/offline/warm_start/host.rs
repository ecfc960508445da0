//! A host for the program of a warm start: a fake systemd on a real bus, and a fake fork server.

use crate::bus::Daemon;
use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr, accept4,
    bind, listen, recvmsg, send, socket,
};
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;
use zbus::{Connection, ObjectPath, OwnedObjectPath};

pub const UNIT: &str = "synapse-worker@a.service";
pub const SERVER: &str = "synapse-warm@venv.service";
/// The process that the fake fork server names.
pub const FORKED: u32 = 4_000_000;
/// What the plain start prints, as a command line of sh.
pub const PLAIN: &str = "echo plain $PPID $LISTEN_FDS";

/// The fake manager: processes that it attached to units.
pub struct Manager(pub Sender<(String, Vec<u32>)>);

#[zbus::interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    fn load_unit(&self, name: String) -> OwnedObjectPath {
        let path = if name == SERVER { "/server" } else { "/unit" };
        ObjectPath::try_from(path).unwrap().into()
    }

    fn attach_processes_to_unit(&self, unit: String, _group: String, processes: Vec<u32>) {
        self.0.send((unit, processes)).unwrap();
    }
}

/// A fake service.
struct Service {
    main: Arc<AtomicU32>,
    nice: i32,
}

#[zbus::interface(name = "org.freedesktop.systemd1.Service")]
impl Service {
    #[zbus(property, name = "MainPID")]
    fn main_pid(&self) -> u32 {
        self.main.load(Ordering::SeqCst)
    }

    #[zbus(property)]
    fn nice(&self) -> i32 {
        self.nice
    }

    /// A property that a forked process takes from its unit.
    #[zbus(property)]
    fn memory_max(&self) -> u64 {
        u64::try_from(self.nice).unwrap()
    }
}

/// The state of a fake unit.
struct Unit(&'static str);

#[zbus::interface(name = "org.freedesktop.systemd1.Unit")]
impl Unit {
    #[zbus(property)]
    fn active_state(&self) -> &str {
        self.0
    }
}

/// How the host answers.
#[derive(Clone, Copy)]
pub struct Host {
    /// The answer of the fork server: `None` for none, and an empty one for a closed connection.
    pub answer: Option<&'static str>,
    /// Whether systemd accepts the new main process.
    pub accepts: bool,
    /// The difference between the two units.
    pub nicer: i32,
    /// The state of the fork server's unit.
    pub state: &'static str,
}

pub const GOOD: Host = Host {
    answer: Some("pid 4000000"),
    accepts: true,
    nicer: 0,
    state: "active",
};

/// What happened.
pub struct Seen {
    pub output: String,
    pub errors: String,
    pub succeeded: bool,
    pub seconds: f64,
    pub attached: Receiver<(String, Vec<u32>)>,
    /// The request, the number of its descriptors, and what followed it on the connection.
    pub request: Receiver<(serde_json::Value, usize, Vec<u8>)>,
}

/// Runs the program on such a host.
pub fn run(host: Host) -> Seen {
    let daemon = Daemon::new();
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    let (main, (attaching, attached)) = (Arc::new(AtomicU32::new(0)), channel());
    let _systemd = systemd(&daemon, Manager(attaching), &main, host);
    let request = fork_server(place("fork"), host.answer);
    notified(&place("notify"), host.accepts.then_some(main));
    let begun = Instant::now();
    // Two descriptors are passed as held sockets; the shell replaces itself, so the process ID stays.
    let script = format!(
        "exec 3<&0 4<&0; LISTEN_PID=$$ LISTEN_FDS=2 exec {} {} {SERVER} {UNIT} sh -c '{PLAIN}'",
        env!("CARGO_BIN_EXE_warm-start"),
        place("fork").display()
    );
    let done = Command::new("sh")
        .args(["-c", &script])
        .env("DBUS_SYSTEM_BUS_ADDRESS", &daemon.address)
        .env("NOTIFY_SOCKET", place("notify"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Seen {
        output: String::from_utf8(done.stdout).unwrap(),
        errors: String::from_utf8(done.stderr).unwrap(),
        succeeded: done.status.success(),
        seconds: begun.elapsed().as_secs_f64(),
        attached,
        request,
    }
}

pub fn systemd(daemon: &Daemon, manager: Manager, main: &Arc<AtomicU32>, host: Host) -> Connection {
    let service = |nice| Service {
        main: Arc::clone(main),
        nice,
    };
    let connection = zbus::connection::Builder::address(daemon.address.as_str())
        .serve_at("/org/freedesktop/systemd1", manager)
        .serve_at("/server", Unit(host.state))
        .serve_at("/unit", service(0))
        .serve_at("/server", service(host.nicer))
        .name("org.freedesktop.systemd1")
        .build();
    zbus::block_on(connection).unwrap()
}

/// A fork server for one request.
fn fork_server(
    path: PathBuf,
    answer: Option<&'static str>,
) -> Receiver<(serde_json::Value, usize, Vec<u8>)> {
    let (sender, receiver) = channel();
    let flags = SockFlag::SOCK_CLOEXEC;
    let listener = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).unwrap();
    bind(listener.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
    listen(&listener, Backlog::new(1).unwrap()).unwrap();
    std::thread::spawn(move || {
        let accepted = accept4(listener.as_raw_fd(), flags).unwrap();
        // SAFETY: accept4 has returned this descriptor, and nothing else owns it.
        let connection = unsafe { OwnedFd::from_raw_fd(accepted) };
        let (content, descriptors) = received(&connection);
        match answer {
            None => {}
            Some("") => return,
            Some(answer) => {
                let flags = MsgFlags::MSG_NOSIGNAL;
                send(connection.as_raw_fd(), answer.as_bytes(), flags).unwrap();
            }
        }
        let (after, _) = received(&connection);
        let request = serde_json::from_slice(&content).unwrap();
        let _ = sender.send((request, descriptors, after));
    });
    receiver
}

/// The next message, and the number of its descriptors.
fn received(connection: &OwnedFd) -> (Vec<u8>, usize) {
    let mut content = vec![0; 1 << 20];
    let mut space = nix::cmsg_space!([i32; 64]);
    let mut parts = [IoSliceMut::new(&mut content)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message =
        recvmsg::<()>(connection.as_raw_fd(), &mut parts, Some(&mut space), flags).unwrap();
    let descriptors = message.cmsgs().unwrap().map(|part| match part {
        ControlMessageOwned::ScmRights(numbers) => {
            // SAFETY: recvmsg has opened these descriptors, and nothing else owns them. They are the output of the
            // program, whose end its reader awaits.
            numbers
                .iter()
                .for_each(|number| drop(unsafe { OwnedFd::from_raw_fd(*number) }));
            numbers.len()
        }
        _ => 0,
    });
    let (descriptors, length) = (descriptors.sum(), message.bytes);
    content.truncate(length);
    (content, descriptors)
}

/// Receives the messages for systemd, which drops their descriptors, and records the main process.
fn notified(path: &PathBuf, main: Option<Arc<AtomicU32>>) {
    let notified = UnixDatagram::bind(path).unwrap();
    std::thread::spawn(move || {
        // A plain read drops the descriptors of a message.
        let mut message = [0; 256];
        while let Ok(length) = notified.recv(&mut message) {
            let text = String::from_utf8_lossy(&message[..length]).into_owned();
            let process = text
                .strip_prefix("MAINPID=")
                .map(|pid| pid.parse().unwrap());
            if let (Some(main), Some(process)) = (&main, process) {
                main.store(process, Ordering::SeqCst);
            }
        }
    });
}

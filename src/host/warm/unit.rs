//! What systemd is asked during a warm start.

use crate::host::dbus::{ManagerProxy, ServiceProxy, UnitProxy, service_properties};
use crate::state::{paths, units};
use anyhow::{Context, Result, bail, ensure};
use std::collections::HashMap;
use std::path::Path;
use zbus::proxy::CacheProperties;
use zbus::{Connection, OwnedVariant};

/// The properties of a service that its processes inherit from the process that systemd executes (systemd.exec(5)). A
/// forked process has those of the fork server. All others act on the control group or on systemd's own behaviour, or
/// the forked process takes them from its unit.
#[rustfmt::skip] // related properties in one line
static INHERITED: &[&str] = &[
    "User", "Group", "SupplementaryGroups", "DynamicUser", "UMask", "PAMName",
    "NoNewPrivileges", "CapabilityBoundingSet", "AmbientCapabilities", "SecureBits", "KeyringMode",
    "RootDirectory", "RootImage", "MountImages", "ExtensionImages", "ExtensionDirectories", "MountAPIVFS", "MountFlags",
    "ReadWritePaths", "ReadOnlyPaths", "InaccessiblePaths", "ExecPaths", "NoExecPaths", "TemporaryFileSystem",
    "BindPaths", "BindReadOnlyPaths", "BindLogSockets",
    "StateDirectory", "CacheDirectory", "LogsDirectory", "ConfigurationDirectory", "LoadCredential", "SetCredential",
    "ProtectSystem", "ProtectHome", "PrivateTmp", "PrivateTmpEx", "PrivateDevices", "PrivateMounts", "PrivateNetwork",
    "PrivateUsers", "PrivateUsersEx", "PrivateIPC", "PrivatePIDs", "NetworkNamespacePath", "IPCNamespacePath",
    "ProtectClock", "ProtectHostname", "ProtectHostnameEx", "ProtectKernelLogs", "ProtectKernelModules",
    "ProtectKernelTunables", "ProtectControlGroups", "ProtectControlGroupsEx", "ProtectProc", "ProcSubset",
    "RestrictAddressFamilies", "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID", "RestrictFileSystems",
    "LockPersonality", "Personality", "MemoryDenyWriteExecute", "RemoveIPC",
    "SystemCallArchitectures", "SystemCallFilter", "SystemCallErrorNumber", "SystemCallLog",
    "AppArmorProfile", "SELinuxContext", "SmackProcessLabel",
    "Nice", "CPUSchedulingPolicy", "CPUSchedulingPriority", "CPUSchedulingResetOnFork", "CPUAffinity", "NUMAPolicy",
    "NUMAMask", "IOSchedulingClass", "IOSchedulingPriority", "TimerSlackNSec", "CoredumpFilter", "IgnoreSIGPIPE",
    "LogNamespace",
];

type Properties = HashMap<String, OwnedVariant>;

/// A connection to systemd as the user of a unit.
pub(super) struct Manager {
    connection: Connection,
    manager: ManagerProxy<'static>,
}

impl Manager {
    /// Connects to the system bus.
    pub fn connect() -> Result<Self> {
        zbus::block_on(async {
            let connection = Connection::system().await?;
            let manager = ManagerProxy::new(&connection).await?;
            anyhow::Ok(Self {
                connection,
                manager,
            })
        })
        .context("systemd cannot be reached over D-Bus")
    }

    /// Asks whether the fork server runs. A masked one has no properties to compare.
    ///
    /// # Errors
    /// When it does not run.
    pub fn require_active(&self, server: &str) -> Result<()> {
        let state = zbus::block_on(async {
            let path = self.manager.load_unit(server).await?;
            let unit = UnitProxy::builder(&self.connection).path(path);
            let unit = unit.cache_properties(CacheProperties::No).build().await?;
            unit.active_state().await
        });
        let state = state.with_context(|| format!("systemd gives no state of {server}"))?;
        ensure!(state == "active", "{server} is {state}");
        Ok(())
    }

    /// Compares what processes of a unit inherit with what those of the fork server inherit that listen at a socket. Drop-ins
    /// of the administrator make a difference, wherever they are.
    ///
    /// # Errors
    /// When there is a difference.
    pub fn compare(&self, unit: &str, server: &str, socket: &Path) -> Result<()> {
        let (unit, server) = (self.properties(unit)?, self.properties(server)?);
        let is_isolated = socket.starts_with(paths::ISOLATED_FORK_SERVERS);
        for name in INHERITED {
            if !is_inherited(name, &unit, &server, is_isolated) {
                bail!("{name}= of the unit differs from that of the fork server");
            }
        }
        Ok(())
    }

    fn properties(&self, unit: &str) -> Result<Properties> {
        zbus::block_on(service_properties(&self.connection, &self.manager, unit))
            .with_context(|| format!("systemd gives no properties of {unit}"))
    }

    /// Moves a process of the same user into the control group of a unit, which must have `Delegate=yes`.
    pub fn attach(&self, unit: &str, process: u32) -> Result<()> {
        let processes = [process];
        zbus::block_on(self.manager.attach_processes_to_unit(unit, "", &processes))
            .with_context(|| format!("systemd does not move process {process} to {unit}"))
    }

    /// The main process of a unit.
    pub fn main_process(&self, unit: &str) -> Result<u32> {
        zbus::block_on(async {
            let path = self.manager.load_unit(unit).await?;
            let service = ServiceProxy::builder(&self.connection).path(path);
            let service = service
                .cache_properties(CacheProperties::No)
                .build()
                .await?;
            service.main_pid().await
        })
        .with_context(|| format!("systemd does not name the main process of {unit}"))
    }
}

/// Whether a process of the fork server has a property of this unit. One that may make namespaces forbids itself what it needs
/// for them before it forks (packaging/launcher/warm_sandbox.py).
fn is_inherited(name: &str, unit: &Properties, server: &Properties, is_isolated: bool) -> bool {
    let narrows = get::<u64>(server, "RestrictNamespaces").is_some_and(|kinds| kinds != 0);
    match name {
        "RestrictNamespaces" if narrows => get::<u64>(unit, name) == Some(0),
        "SystemCallFilter" if narrows => {
            let calls: Option<(bool, Vec<String>)> = get(server, name);
            let left = calls.map(|(allows, mut calls)| {
                calls.retain(|call| !units::CALLS_FOR_NAMESPACES.contains(&call.as_str()));
                (allows, calls)
            });
            get(unit, name) == left
        }
        "PrivateNetwork" if is_isolated => get::<bool>(unit, name) == Some(true),
        "RestrictAddressFamilies" if is_isolated => {
            get::<(bool, Vec<String>)>(unit, name) == Some((true, vec!["AF_UNIX".to_owned()]))
        }
        "InaccessiblePaths" if is_isolated => {
            let mut hidden: Vec<String> = get(server, name).unwrap_or_default();
            hidden.push(paths::OPEN_FORK_SERVERS.to_owned());
            get(unit, name) == Some(hidden)
        }
        // A release of systemd that lacks a property lacks it in both units.
        _ => unit.get(name) == server.get(name),
    }
}

fn get<T: TryFrom<OwnedVariant>>(properties: &Properties, name: &str) -> Option<T> {
    T::try_from(properties.get(name)?.clone()).ok()
}

#[cfg(test)]
mod tests {
    use super::INHERITED;

    /// Keys of the sandbox that act on the control group, or on the streams that the forked process gets.
    const OTHERS: &[&str] = &[
        "DevicePolicy",
        "IPAddressDeny",
        "IPAddressAllow",
        "SocketBindDeny",
        "SocketBindAllow",
        "SyslogLevelPrefix",
    ];

    #[test]
    fn every_key_of_the_sandbox_is_compared_unless_it_acts_on_the_control_group() {
        let sandbox = include_str!("../../../systemd/sandbox.conf");
        let network = include_str!("../../../systemd/network.conf");
        let keys = sandbox.lines().chain(network.lines()).filter_map(|line| {
            let (key, _) = line.split_once('=')?;
            key.chars().all(char::is_alphanumeric).then_some(key)
        });
        let mut count = 0;
        for key in keys {
            count += 1;
            assert!(INHERITED.contains(&key) != OTHERS.contains(&key), "{key}");
        }
        assert!(count > 30);
    }
}

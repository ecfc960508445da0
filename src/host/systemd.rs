//! The connection to systemd over D-Bus, and the calls of its manager other than jobs.

use super::dbus::{
    ListedUnit, ManagerProxy, ServiceProxy, TimerProxy, UnitProxy, service_properties,
};
use crate::failure::Failure;
use crate::state::UnitState;
use crate::state::services;
use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use std::collections::{BTreeMap, HashMap};
use std::future::poll_fn;
use std::task::Poll;
use zbus::proxy::CacheProperties;
use zbus::{Connection, OwnedObjectPath, OwnedVariant};

/// A connection to systemd.
#[derive(Clone)]
pub struct Systemd {
    connection: Connection,
    pub(super) manager: ManagerProxy<'static>,
}

impl Systemd {
    /// Connects to the system bus.
    pub fn connect() -> Result<Self> {
        Self::over(Connection::system())
    }

    /// Connects to the manager on the bus at this address (`unix:path=…`).
    pub fn connect_to(address: &str) -> Result<Self> {
        Self::over(zbus::connection::Builder::address(address).build())
    }

    fn over(connection: impl Future<Output = zbus::Result<Connection>>) -> Result<Self> {
        zbus::block_on(async {
            let connection = connection.await?;
            let manager = ManagerProxy::new(&connection).await?;
            // systemd sends signals only to subscribers. One subscription per connection is enough.
            manager.subscribe().await?;
            anyhow::Ok(Self {
                connection,
                manager,
            })
        })
        .map_err(|error| -> anyhow::Error {
            Failure::failed(format!("cannot reach systemd over D-Bus: {error:#}"))
                .help("install `dbus`, then: systemctl start dbus.socket")
                .into()
        })
    }

    /// The units of this program that are loaded, active or failed. The links on disk decide whether a unit is enabled;
    /// systemd is not asked.
    pub fn units(&self) -> Result<BTreeMap<String, UnitState>> {
        let patterns = services::unit_patterns();
        let listed = zbus::block_on(self.manager.list_units_by_patterns(&[], &patterns))
            .context("asking systemd for units")?;
        let state = |unit: &ListedUnit| UnitState {
            active: matches!(unit.3.as_str(), "active" | "reloading"),
            changing: matches!(unit.3.as_str(), "activating" | "deactivating"),
            failed: unit.3 == "failed",
            enabled: false,
            stale: false,
        };
        Ok(listed
            .iter()
            .filter(|unit| unit.3 != "inactive")
            .map(|unit| (unit.0.clone(), state(unit)))
            .collect())
    }

    /// Makes systemd reload all unit files (`daemon-reload`).
    pub fn reload(&self) -> Result<()> {
        zbus::block_on(self.manager.reload()).context("systemctl daemon-reload")
    }

    pub fn enable(&self, units: &[String]) -> Result<()> {
        zbus::block_on(
            self.manager
                .enable_unit_files(&borrowed(units), false, true),
        )
        .map(drop)
        .context("enabling units; for a masked unit, run `systemctl unmask` first")
    }

    pub fn disable(&self, units: &[String]) -> Result<()> {
        zbus::block_on(self.manager.disable_unit_files(&borrowed(units), false))
            .map(drop)
            .context("disabling units")
    }

    /// Sends a signal to the main process of a service.
    pub fn signal(&self, service: &str, signal: Signal) -> Result<()> {
        zbus::block_on(self.manager.kill_unit(service, "main", signal as i32))
            .with_context(|| format!("sending {signal} to {service}"))
    }

    /// Resets the failed state of units. A unit that systemd has unloaded already is not an error.
    pub fn reset_failed(&self, units: &[String]) {
        for unit in units {
            let _ = zbus::block_on(self.manager.reset_failed_unit(unit));
        }
    }

    /// The properties of a unit. systemd loads the unit if necessary.
    pub(super) async fn unit(&self, name: &str) -> zbus::Result<UnitProxy<'_>> {
        self.unit_at(self.manager.load_unit(name).await?).await
    }

    /// The properties of the unit at a D-Bus path.
    pub(super) async fn unit_at(&self, path: OwnedObjectPath) -> zbus::Result<UnitProxy<'_>> {
        let proxy = UnitProxy::builder(&self.connection).path(path);
        proxy.cache_properties(CacheProperties::No).build().await
    }

    /// The properties of a unit that only services have.
    pub(super) async fn service(&self, name: &str) -> zbus::Result<ServiceProxy<'_>> {
        let path = self.manager.load_unit(name).await?;
        let proxy = ServiceProxy::builder(&self.connection).path(path);
        proxy.cache_properties(CacheProperties::No).build().await
    }

    /// All properties of a unit that only services have, by their names.
    pub(super) fn service_properties(&self, name: &str) -> Result<HashMap<String, OwnedVariant>> {
        let found = service_properties(&self.connection, &self.manager, name);
        about(name, found)
    }

    /// The properties of a unit that only timers have.
    pub(super) async fn timer(&self, name: &str) -> zbus::Result<TimerProxy<'_>> {
        let path = self.manager.load_unit(name).await?;
        let proxy = TimerProxy::builder(&self.connection).path(path);
        proxy.cache_properties(CacheProperties::No).build().await
    }
}

/// The number of questions that wait for an answer at a time: an answer wakes all of them.
const AT_ONCE: usize = 32;

/// Asks the same question about several units, and returns the answers in the order of the units. No question waits for
/// the answer to another, so that the time does not grow with the round trips. An error names the unit.
pub(super) fn about_each<T>(
    units: &[&str],
    question: impl AsyncFn(&str) -> zbus::Result<T>,
) -> Result<Vec<T>> {
    let mut found = Vec::with_capacity(units.len());
    for units in units.chunks(AT_ONCE) {
        let answers = zbus::block_on(together(units.iter().map(|unit| question(unit))));
        for (unit, answer) in units.iter().zip(answers) {
            found.push(answer.with_context(|| asking(unit))?);
        }
    }
    Ok(found)
}

/// The results of all futures, in order.
async fn together<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    poll_fn(|context| {
        for (future, result) in all.iter_mut().filter(|(_, result)| result.is_none()) {
            if let Poll::Ready(value) = future.as_mut().poll(context) {
                *result = Some(value);
            }
        }
        match all.iter().all(|(_, result)| result.is_some()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    all.into_iter().filter_map(|(_, result)| result).collect()
}

fn asking(unit: &str) -> String {
    format!("asking systemd about {unit}")
}

/// Waits for an answer about a unit, which the error names.
pub(super) fn about<T>(unit: &str, answer: impl Future<Output = zbus::Result<T>>) -> Result<T> {
    zbus::block_on(answer).with_context(|| asking(unit))
}

fn borrowed(units: &[String]) -> Vec<&str> {
    units.iter().map(String::as_str).collect()
}

//! Where alerts are delivered to.

/// A way to deliver alerts, by its name in the metrics and logs of Alertmanager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Integration {
    /// To addresses in `alerts.email`.
    Email,
    /// To `alerts.webhook`.
    Webhook,
}

impl Integration {
    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Webhook => "webhook",
        }
    }
}

/// An address that alerts are delivered to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Destination {
    /// How.
    pub integration: Integration,
    /// Its place among those of its integration in Alertmanager's configuration, from 0 on.
    pub place: usize,
}

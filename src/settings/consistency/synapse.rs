//! Rules for the sections `synapse` and `warm`.

use super::{Rule, violated};
use crate::settings::types::WarmMode;
use crate::state::accounts;

pub(super) static RULES: &[Rule] = &[
    |settings| {
        let user = settings.synapse.user.as_str();
        let owner = accounts::reserved(user)?;
        let problem = format!(
            "`synapse.user` is {user}, {owner}, and an attacker who takes over Synapse would get the privileges \
             of this account"
        );
        let help = "leave `synapse.user` empty, or name an account that nothing else uses";
        Some(("synapse.user", problem, help.to_owned()))
    },
    |settings| {
        let sockets = &settings.sockets;
        let held = sockets.held && (sockets.public || sockets.replication);
        let mode = settings.warm.mode;
        let asked = [WarmMode::Fork, WarmMode::Immortal].contains(&mode);
        violated(asked && !held, "warm.mode", || {
            let problem = format!(
                "`warm.mode` is {mode}, but systemd opens no sockets of Synapse's processes"
            );
            let help = "set `sockets.held` and `sockets.public` to true, or `warm.mode` to off";
            (problem, help.to_owned())
        })
    },
    |settings| {
        let packages = &settings.synapse.packages;
        let own = packages.iter().any(|it| it.project() == "matrix-synapse");
        violated(own, "synapse.packages", || {
            (
                "`synapse.packages` contains Synapse itself".to_owned(),
                "remove it from `synapse.packages`, and set `synapse.version`".to_owned(),
            )
        })
    },
    |settings| {
        let packages = &settings.synapse.packages;
        let (place, twice) = packages.iter().enumerate().find(|(place, package)| {
            let mut before = packages[..*place].iter();
            before.any(|other| other.project() == package.project())
        })?;
        let first = packages[..place]
            .iter()
            .find(|other| other.project() == twice.project())?;
        let problem = format!("`synapse.packages` contains both {first} and {twice}");
        Some((
            "synapse.packages",
            problem,
            "remove one of the two".to_owned(),
        ))
    },
];

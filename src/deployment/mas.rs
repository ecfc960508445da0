//! Options of Synapse that it refuses together with the Matrix Authentication Service (config/mas.py of 1.163.2,
//! `check_config_conflicts`, and the files that read the options), and options that formerly enabled it.

use super::Deployment;
use super::extras::{flag, has};
use super::options::is_true;

/// The top-level key of Synapse for the Matrix Authentication Service.
pub const KEY: &str = "matrix_authentication_service";

/// A top-level key of Synapse with a value that the administrator has to change.
pub struct Refused {
    /// The key.
    pub key: &'static str,
    /// Why Synapse refuses the value.
    pub reason: &'static str,
    /// What the administrator does.
    pub help: &'static str,
}

/// A row of the table of options that Synapse refuses.
struct Row {
    refused: Refused,
    /// Whether the value of the option is refused.
    applies: fn(&Deployment, &str) -> bool,
}

const fn row(key: &'static str, help: &'static str, applies: fn(&Deployment, &str) -> bool) -> Row {
    Row {
        refused: Refused {
            key,
            reason: "Synapse refuses it together with the Matrix Authentication Service (`mas.endpoint`)",
            help,
        },
        applies,
    }
}

const IN_MAS: &str = "remove it, and configure this in the Matrix Authentication Service";
const UPSTREAM: &str =
    "remove it, and configure the provider as upstream_oauth2 in the Matrix Authentication Service";
const ACCOUNTS: &str =
    "remove it, and configure this as account in the Matrix Authentication Service";
const LIFETIME: &str =
    "remove it; the Matrix Authentication Service decides how long its tokens are valid";

#[rustfmt::skip] // one option per line
static ROWS: &[Row] = &[
    row("password_config", "remove `enabled` from it, and configure passwords in the Matrix Authentication Service", |all, key| flag(all, key, "enabled", false)),
    row("enable_registration", ACCOUNTS, has),
    row("disable_registration", ACCOUNTS, |all, key| all.option(key).is_some_and(|value| !is_true(&value))),
    row("enable_registration_captcha", "remove it, and configure this as captcha in the Matrix Authentication Service", has),
    row("user_consent", IN_MAS, |all, key| all.option(key).is_some_and(|value| !value.is_null())),
    row("oidc_providers", UPSTREAM, has),
    row("oidc_config", UPSTREAM, |all, key| flag(all, key, "enabled", false)),
    row("saml2_config", UPSTREAM, |all, key| flag(all, key, "enabled", true) && ["sp_config", "config_path"].iter().any(|part| flag(all, key, part, false))),
    row("cas_config", UPSTREAM, |all, key| flag(all, key, "enabled", true)),
    row("jwt_config", IN_MAS, |all, key| flag(all, key, "enabled", false)),
    row("password_providers", UPSTREAM, has),
    row("ldap_config", UPSTREAM, |all, key| flag(all, key, "enabled", false)),
    row("login_via_existing_session", IN_MAS, |all, key| flag(all, key, "enabled", false)),
    row("refresh_token_lifetime", LIFETIME, has),
    row("nonrefreshable_access_token_lifetime", LIFETIME, has),
    row("session_lifetime", LIFETIME, has),
    row("enable_3pid_changes", ACCOUNTS, has),
];

/// The form of Synapse before 1.136, which 1.157 removed (config/experimental.py).
static FORMER: Refused = Refused {
    key: "experimental_features",
    reason: "`msc3861` in it is the former way to use the Matrix Authentication Service, which Synapse removed in 1.157",
    help: "remove `msc3861`, and set `mas.endpoint`, and `mas.secret_file` to a file with the value of its `admin_token`, \
           which is `matrix.secret` in the Matrix Authentication Service",
};

impl Deployment {
    /// The options of the administrator that Synapse refuses because of the Matrix Authentication Service.
    pub fn refused_with_mas(&self) -> Vec<&'static Refused> {
        let rows = ROWS.iter().filter(|_| self.settings.mas.is_on());
        let refused = rows.filter(|row| (row.applies)(self, row.refused.key));
        let former = flag(self, FORMER.key, "msc3861", false).then_some(&FORMER);
        refused.map(|row| &row.refused).chain(former).collect()
    }
}

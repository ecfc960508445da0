//! Paths of a container and the directories of this host that it mounted there.

use crate::settings::value::Scalar;

/// A directory of a container, and the directory of this host that it mounted there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathMapping {
    container: String,
    host: String,
}

impl PathMapping {
    /// The directory in the container, without a slash at the end.
    pub fn container(&self) -> &str {
        &self.container
    }

    /// The directory of this host, without a slash at the end.
    pub fn host(&self) -> &str {
        &self.host
    }
}

impl Scalar for PathMapping {
    fn kind() -> String {
        "CONTAINER=HOST, two absolute paths of letters, digits and /._-+@~".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        let (container, host) = text.split_once('=').ok_or_else(Self::expected)?;
        match (directory(container), directory(host)) {
            (Some(container), Some(host)) => Ok(Self { container, host }),
            _ => Err(Self::expected()),
        }
    }

    fn show(&self) -> String {
        format!("{}={}", self.container, self.host)
    }
}

/// The path without a slash at the end; `None` for a relative path and for one that YAML might have to quote.
fn directory(text: &str) -> Option<String> {
    let path = text.strip_suffix('/').unwrap_or(text);
    let parts = path.strip_prefix('/')?;
    let is_part = |part: &str| !["", ".", ".."].contains(&part);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+@~".contains(&byte);
    (parts.split('/').all(is_part) && path.bytes().all(plain)).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_paths_are_absolute_and_need_no_quotes() {
        let mapping = PathMapping::parse("/data/=/srv/synapse").unwrap();
        assert_eq!(
            (mapping.container(), mapping.host()),
            ("/data", "/srv/synapse")
        );
        assert_eq!(mapping.show(), "/data=/srv/synapse");
        for wrong in [
            "/data",
            "/=/srv",
            "/data=",
            "data=/srv",
            "/data=/srv/../etc",
            "/data=/srv/a b",
            "/data=/srv=/x",
            "/data=/srv: x",
        ] {
            assert!(PathMapping::parse(wrong).is_err(), "{wrong}");
        }
    }
}

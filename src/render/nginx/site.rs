//! What nginx serves besides Matrix: the administrator's own locations and a web client.

use super::super::{Input, StateBuilder};
use super::Network;
use crate::deployment::locations::{LocationFile, Reach};
use crate::state::digest;
use anyhow::Result;
use askama::Template;

/// The content of nginx besides Matrix.
pub(super) struct Site {
    /// The directory of the web client.
    pub web_root: Option<String>,
    /// The files with locations.
    pub includes: Vec<Included>,
}

/// A file beside nginx.conf that it includes.
pub(super) struct Included {
    /// The name of the file.
    pub name: String,
    /// The digest of its contents.
    pub digest: String,
}

#[derive(Template)]
#[template(path = "nginx/types.conf")]
struct Types;

impl Site {
    /// The content of these settings; `None` if nginx serves Matrix alone.
    pub fn new(input: &Input) -> Option<Self> {
        let web_root = input.settings.nginx.web_root.as_ref();
        let files = input.referenced.locations.iter();
        let includes: Vec<Included> = files
            .enumerate()
            .map(|(place, file)| Included {
                name: name(place, file),
                digest: digest(file.text.as_bytes()),
            })
            .collect();
        (web_root.is_some() || !includes.is_empty()).then(|| Self {
            web_root: web_root.map(|path| path.as_str().to_owned()),
            includes,
        })
    }
}

/// Adds the files that nginx.conf includes for its content besides Matrix.
pub(super) fn render(builder: &mut StateBuilder, site: &Site) -> Result<()> {
    builder.text("nginx/types.conf", Types.render()?);
    let files = builder
        .input
        .referenced
        .locations
        .iter()
        .zip(&site.includes);
    for (file, included) in files {
        let contents = file.text.clone().into_bytes();
        builder.add(&format!("nginx/{}", included.name), contents, &[]);
    }
    Ok(())
}

/// The network access that the administrator's locations need.
pub(super) fn network(input: &Input) -> Network {
    let files = input.referenced.locations.iter();
    match files.map(|file| file.reach).max().unwrap_or_default() {
        Reach::Sockets => Network::None,
        Reach::Loopback => Network::Loopback,
        Reach::Network => Network::Host,
    }
}

/// The name of a copy. nginx's messages contain it, so it contains the original name.
fn name(place: usize, file: &LocationFile) -> String {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    let plain = |letter: char| match letter.is_ascii_alphanumeric() || "._-".contains(letter) {
        true => letter,
        false => '_',
    };
    let name: String = name.chars().map(plain).collect();
    format!("include-{}-{name}", place + 1)
}

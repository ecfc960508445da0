//! The documents that are pages of the manual, and the names of these pages.

/// The name of the program, which is the prefix of the name of each page.
pub(super) const NAME: &str = "synapse-workers";

macro_rules! document {
    ($name:literal) => {
        ($name, include_str!(concat!("../../../docs/", $name, ".md")))
    };
}

/// The pages of docs/ with their text, except the reference of settings, which is generated.
pub(super) static DOCUMENTS: &[(&str, &str)] = &[
    document!("accounts"),
    document!("adopting"),
    document!("alerts"),
    document!("advice"),
    document!("backup"),
    document!("calls"),
    document!("cluster"),
    document!("command-line"),
    document!("database-size"),
    document!("failures"),
    document!("files"),
    document!("from-docker"),
    document!("growth"),
    document!("health"),
    document!("limits"),
    document!("logs"),
    document!("mas"),
    document!("metrics"),
    document!("modules"),
    document!("postgresql"),
    document!("reachability"),
    document!("removing"),
    document!("restarts"),
    document!("reverse-proxy"),
    document!("rolling-back"),
    document!("security"),
    document!("tls"),
    document!("trials"),
    document!("units"),
    document!("upgrades"),
    document!("warm"),
    document!("web-client"),
    document!("workers"),
];

/// The name of the reference of settings in docs/, without `.md`.
pub(super) const SETTINGS: &str = "settings";

/// The text of a document; empty if there is no document of this name.
pub(super) fn text(name: &str) -> &'static str {
    let document = DOCUMENTS.iter().find(|(known, _)| *known == name);
    document.map_or("", |(_, text)| *text)
}

/// Whether a document is a page of the manual.
pub(super) fn is_page(name: &str) -> bool {
    name == SETTINGS || DOCUMENTS.iter().any(|(known, _)| *known == name)
}

/// The section of a page.
pub(super) fn section(name: &str) -> u8 {
    if name == SETTINGS { 5 } else { 7 }
}

/// The file name of a page.
pub(super) fn file(name: &str) -> String {
    format!("{NAME}-{name}.{}", section(name))
}

/// The reference to a page from other pages.
pub(super) fn reference_to(name: &str) -> String {
    format!("{NAME}-{name}({})", section(name))
}

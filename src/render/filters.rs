//! Quoting filters: every value that is written into another language passes the filter of that language.
//!
//! With these filters, a `;`, `%`, `"`, `$` or blank in a setting never changes the structure of a file. (Control
//! characters cannot occur, because settings reject them.)

use askama::Values;
use serde::Serialize;
use std::fmt::Display;

/// A value in YAML for Python's parser: JSON, which is YAML 1.1 with every string quoted.
#[askama::filter_fn]
pub fn yaml<T: Serialize>(value: T, _: &dyn Values) -> askama::Result<String> {
    serde_json::to_string(&value).map_err(|error| askama::Error::Custom(Box::new(error)))
}

/// A word in a systemd unit file: quoted unless plain, with C-style escapes and `%` doubled (systemd.syntax(7)).
#[askama::filter_fn]
pub fn unit<T: Display>(value: T, _: &dyn Values) -> askama::Result<String> {
    let text = value.to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:@+=,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return Ok(text);
    }
    Ok(format!("\"{}\"", escaped(&text).replace('%', "%%")))
}

/// A path in a tmpfiles.d line: quoted, with `%` doubled (tmpfiles.d(5)).
#[askama::filter_fn]
pub fn tmpfiles<T: Display>(value: T, _: &dyn Values) -> askama::Result<String> {
    Ok(format!(
        "\"{}\"",
        escaped(&value.to_string()).replace('%', "%%")
    ))
}

/// A quoted word in nginx's configuration. It suits only text without variables, because nginx has no escape for `$`.
#[askama::filter_fn]
pub fn nginx<T: Display>(value: T, _: &dyn Values) -> askama::Result<String> {
    Ok(format!("\"{}\"", value.to_string().replace('"', "\\\"")))
}

/// A path that is the whole value of an option in a systemd unit file: not quoted, with `%` doubled, its only special
/// character (systemd.path(5), `PathChanged=`).
#[askama::filter_fn]
pub fn path_value<T: Display>(value: T, _: &dyn Values) -> askama::Result<String> {
    Ok(value.to_string().replace('%', "%%"))
}

/// A boolean as `on` or `off`.
#[askama::filter_fn]
pub fn switch(value: &bool, _: &dyn Values) -> askama::Result<&'static str> {
    Ok(if *value { "on" } else { "off" })
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

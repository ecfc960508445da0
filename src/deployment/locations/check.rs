//! The check of a file with locations.

use super::Problem;
use super::paths_of_matrix::{Matches, taken};
use super::reach::{self, Reach};
use super::syntax::{self, Directive};
use std::path::Path;

/// A file with locations, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocationFile {
    /// The path of the administrator's file.
    pub path: String,
    /// Its contents.
    pub text: String,
    /// The servers to which it passes requests.
    pub reach: Reach,
}

/// The named locations of this program's own configuration, which nginx would silently merge with others of the same
/// name.
pub const NAMED: [&str; 7] = [
    "@main",
    "@preflight",
    "@main_late",
    "@error",
    "@ask_user",
    "@balanced",
    "@unnamed",
];

/// Directives whose argument is a path that nginx reads.
const READING: [&str; 8] = [
    "alias",
    "auth_basic_user_file",
    "grpc_ssl_trusted_certificate",
    "proxy_ssl_certificate",
    "proxy_ssl_certificate_key",
    "proxy_ssl_trusted_certificate",
    "root",
    "uwsgi_ssl_trusted_certificate",
];

impl LocationFile {
    /// Reads and checks the contents of a file. `unusable` says why nginx cannot read a path, to complete the sentence
    /// "PATH is …".
    ///
    /// # Errors
    /// When a line is not part of a location, takes a path of Matrix, or names a file that nginx cannot read.
    pub fn new(
        path: String,
        text: String,
        unusable: impl Fn(&Path) -> Option<String>,
    ) -> Result<Self, Problem> {
        let mut reach = Reach::default();
        for directive in syntax::parse(&text)? {
            check_location(&directive)?;
            let inner = directive.block.iter().flatten();
            for directive in inner {
                check_inner(directive, &unusable, &mut reach)?;
            }
        }
        Ok(Self { path, text, reach })
    }
}

/// Checks a directive outside of every block.
fn check_location(directive: &Directive) -> Result<(), Problem> {
    let name = directive.words[0].as_str();
    if name != "location" || directive.block.is_none() {
        let problem =
            format!("`{name}` is not a location, and would apply to the paths of Matrix too");
        return Err(Problem::new(directive.line, problem).help("write it inside a location block"));
    }
    let shown = directive.words[1..].join(" ");
    let Some(matches) = condition(&directive.words) else {
        if NAMED.contains(&shown.as_str()) {
            let problem = format!("`location {shown}` has the name of a location of this server");
            return Err(Problem::new(directive.line, problem).help("choose another name"));
        }
        return Ok(());
    };
    let taken = taken(matches).map_err(|_| {
        let problem = format!("`location {shown}` cannot be compared with the paths of Matrix");
        Problem::new(directive.line, problem)
            .help("write an expression without look-around and back-references, or a prefix")
    })?;
    let Some(taken) = taken else {
        return Ok(());
    };
    let problem = format!("`location {shown}` contains {taken}, a path of this server");
    Err(Problem::new(directive.line, problem).help(match taken {
        "/" => "for a web client at /, set nginx.web_root",
        _ => "write the longer paths that belong to your service, such as /.well-known/acme-challenge/ or /my-service/",
    }))
}

/// The condition of a location as nginx reads it (`ngx_http_core_module.c`, `ngx_http_core_location`): the modifier may
/// be a word of its own. `None` for a named location.
fn condition(words: &[String]) -> Option<Matches<'_>> {
    const MODIFIERS: [&str; 4] = ["=", "^~", "~*", "~"];
    let (modifier, place) = match words {
        [_, modifier, place, ..] => (modifier.as_str(), place.as_str()),
        [_, place] => MODIFIERS
            .into_iter()
            .find_map(|modifier| Some((modifier, place.strip_prefix(modifier)?)))
            .unwrap_or(("", place)),
        _ => ("", ""),
    };
    match modifier {
        "=" => Some(Matches::Exactly(place)),
        "~" | "~*" => Some(Matches::Pattern {
            pattern: place,
            ignores_case: modifier == "~*",
        }),
        _ if place.starts_with('@') => None,
        _ => Some(Matches::Prefix(place)),
    }
}

/// Checks a directive inside a location.
fn check_inner(
    directive: &Directive,
    unusable: &impl Fn(&Path) -> Option<String>,
    reach: &mut Reach,
) -> Result<(), Problem> {
    let Directive { line, words, block } = directive;
    let name = words[0].as_str();
    if name == "include" {
        let problem = "`include` names a file that is not copied with this one";
        return Err(Problem::new(*line, problem).help("write its lines here"));
    }
    if let Some(path) = words.get(1).filter(|_| READING.contains(&name)) {
        // Variables may follow a fixed part.
        let place = Path::new(path.split('$').next().unwrap_or_default());
        // With such a part, the path may lead into a directory that the next check refuses.
        let climbs = path.split('/').any(|part| part == "..");
        if climbs || !place.is_absolute() && !path.starts_with('$') {
            let problem = format!("`{name} {path}` is not an absolute path without the part ..");
            return Err(Problem::new(*line, problem).help("write a path that begins with /"));
        }
        if let Some(reason) = unusable(place) {
            let problem = format!("`{name}`: {path} is {reason}");
            return Err(
                Problem::new(*line, problem).help("move it to a directory such as /srv/www")
            );
        }
    }
    *reach = (*reach).max(reach::of(words));
    block
        .iter()
        .flatten()
        .try_for_each(|inner| check_inner(inner, unusable, reach))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Result<Reach, String> {
        let hidden = |path: &Path| path.starts_with("/home").then(|| "hidden".to_owned());
        LocationFile::new("/etc/a.conf".to_owned(), text.to_owned(), hidden)
            .map(|file| file.reach)
            .map_err(|problem| problem.to_string())
    }

    #[test]
    fn locations_of_other_services_are_accepted() {
        for (text, reach) in [
            ("", Reach::Sockets),
            ("location = /robots.txt { return 200 'x'; }", Reach::Sockets),
            ("location =/robots.txt { return 200 'x'; }", Reach::Sockets),
            (
                "location /a/ { alias /srv/a/; autoindex off; }",
                Reach::Sockets,
            ),
            ("location @a { return 404; }", Reach::Sockets),
            (
                "location ^~ /livekit/jwt/ { proxy_pass http://127.0.0.1:8081/; }\n\
                 location ~ \\.php$ { if ($a) { return 403; } fastcgi_pass unix:/run/php.sock; }",
                Reach::Loopback,
            ),
            (
                "location /a/ { location /a/b/ { proxy_pass https://b.example.org; } }",
                Reach::Network,
            ),
        ] {
            assert_eq!(checked(text), Ok(reach), "{text}");
        }
    }

    #[test]
    fn other_files_are_refused_with_the_line() {
        for (text, parts) in [
            (
                "\nclient_max_body_size 1g;",
                ["line 2: `client_max_body_size`", "inside a location"],
            ),
            (
                "server { location /a { return 200; } }",
                ["line 1: `server`", "help:"],
            ),
            ("location /a;", ["line 1: `location`", "help:"]),
            (
                "location /a {}\nlocation /_matrix/client/ {}",
                ["line 2: `location /_matrix/client/`", "/_matrix,"],
            ),
            ("location ^~/_synapse/admin {}", ["line 1: ", "/_synapse,"]),
            ("location = / {}", ["contains /,", "nginx.web_root"]),
            ("location / {}", ["contains /,", "nginx.web_root"]),
            ("location ~* ^/_MATRIX/ {}", ["line 1: ", "/_matrix/"]),
            (
                "location ~ ^/(?!_matrix) {}",
                ["cannot be compared", "look-around"],
            ),
            ("location @error {}", ["@error", "another name"]),
            (
                "location /a {\n include fastcgi_params;\n}",
                ["line 2: `include`", "its lines"],
            ),
            (
                "location /a {\n alias /home/a/;\n}",
                ["line 2: `alias`: /home/a/ is hidden", "help:"],
            ),
            (
                "location /a { if ($b) { root /home/$host; } }",
                ["`root`: /home/$host is hidden", "help:"],
            ),
            (
                "location /a { root html; }",
                ["`root html`", "begins with /"],
            ),
            (
                "location /a { alias /srv/../home/a/; }",
                ["`alias /srv/../home/a/`", "the part .."],
            ),
            (
                "location /a { return 200; ",
                ["line 1: a block has no \"}\"", ""],
            ),
        ] {
            let error = checked(text).unwrap_err();
            for part in parts {
                assert!(error.contains(part), "{text}: {error}");
            }
        }
    }
}

//! The servlets that three releases of Synapse register in each process, and requests derived from them.
//!
//! A row of `servlets.tsv` is one servlet: its path pattern as Synapse has it, its methods, whether
//! a worker and the main process register it, and under which listener resource. `servlets-older.tsv`
//! lists the rows that older releases lack, and the rows in their place (see `data/servlets.py`).

use std::collections::BTreeSet;
use std::fmt;

use regex::Regex;
use synapse_workers::topology::{Endpoint, Logins};

/// The release of `servlets.tsv`, and those of `servlets-older.tsv`: the oldest supported one, and one in between.
pub const RELEASES: [&str; 3] = ["1.163.2", "1.153.0", "1.143.0"];

pub struct Row {
    pub methods: Vec<String>,
    pub worker: bool,
    pub class: String,
    pub constraint: String,
    pub needs: String,
    pub example: String,
    /// The pattern as a regular expression.
    source: String,
    pattern: Regex,
    /// The capturing groups of the pattern, as written.
    groups: Vec<String>,
    resources: BTreeSet<String>,
    main: bool,
    main_without_media: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    pub method: String,
    /// As a client sends it, perhaps with a query string.
    pub path: String,
}

pub struct Oracle {
    pub rows: Vec<Row>,
}

impl Oracle {
    /// The servlets of the newest release.
    pub fn newest() -> Self {
        Self::of(RELEASES[0])
    }

    pub fn of(release: &str) -> Self {
        let mut lines: Vec<&str> = include_str!("../data/servlets.tsv")
            .lines()
            .skip(1)
            .collect();
        for change in include_str!("../data/servlets-older.tsv").lines().skip(1) {
            let mut columns = change.splitn(3, '\t');
            let (releases, sign, row) = (columns.next(), columns.next(), columns.next());
            let (releases, row) = (releases.unwrap(), row.unwrap());
            if !releases.split(',').any(|one| one == release) {
                continue;
            }
            if sign == Some("+") {
                lines.push(row);
                continue;
            }
            let place = lines.iter().position(|line| *line == row);
            lines.remove(place.unwrap_or_else(|| panic!("servlets.tsv lacks {row}")));
        }
        let rows = lines.into_iter().map(Row::parse).collect();
        Oracle { rows }
    }

    /// The rows as Synapse itself would print them (src/host/endpoints.py).
    pub fn endpoints(&self) -> Vec<Endpoint> {
        let of_row = |row: &Row| {
            let endpoint = |method: &String| Endpoint {
                method: method.clone(),
                pattern: row.source.clone(),
                servlet: row.class.clone(),
                main: row.main,
                worker: row.worker,
                plain: row.needs == "-",
            };
            row.methods.iter().map(endpoint).collect::<Vec<_>>()
        };
        self.rows.iter().flat_map(of_row).collect()
    }

    /// The servlets that answer a request; more than one where conditions exclude one another.
    pub fn rows(&self, request: &Request) -> Vec<&Row> {
        let path = request.raw_path();
        let method = if request.method == "HEAD" {
            "GET"
        } else {
            &request.method
        };
        let answers =
            |row: &&Row| row.methods.iter().any(|own| own == method) && row.pattern.is_match(path);
        self.rows.iter().filter(answers).collect()
    }

    /// Each request with the servlets that answer it.
    pub fn answered(&self, requests: BTreeSet<Request>) -> Vec<(Request, Vec<&Row>)> {
        let mut answered = Vec::new();
        for request in requests {
            let rows = self.rows(&request);
            answered.push((request, rows));
        }
        answered
    }

    /// One request per servlet, method and API version.
    pub fn examples(&self) -> BTreeSet<Request> {
        self.rows.iter().flat_map(Row::requests).collect()
    }

    /// The examples in every form in which clients may send them.
    pub fn requests(&self) -> BTreeSet<Request> {
        let mut requests = self.examples();
        for row in &self.rows {
            for (method, path) in row.with_methods(row.variants()) {
                requests.insert(Request { method, path });
            }
        }
        requests
    }
}

impl Request {
    pub fn raw_path(&self) -> &str {
        raw(&self.path)
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

impl Row {
    fn parse(line: &str) -> Self {
        let columns: Vec<&str> = line.split('\t').collect();
        let [
            pattern,
            methods,
            _,
            worker,
            class,
            resources,
            main,
            no_media,
            constraint,
            needs,
            example,
        ] = columns[..]
        else {
            panic!("{line}: 11 columns expected");
        };
        let source = match pattern.strip_prefix("PREFIX:") {
            Some(path) => format!("^{}$", regex::escape(path)),
            None => pattern.to_owned(),
        };
        // Two rows that need a listener or setting of their own, which that variant did not have.
        let quirk = ["ConsentResource", "MetricsResource"].contains(&class);
        Row {
            methods: methods.split(',').map(str::to_owned).collect(),
            worker: worker == "yes",
            class: class.to_owned(),
            constraint: constraint.to_owned(),
            needs: needs.to_owned(),
            example: example.to_owned(),
            groups: groups(&source),
            source: source.clone(),
            pattern: Regex::new(&source).unwrap_or_else(|error| panic!("{pattern}: {error}")),
            resources: resources.split('|').map(str::to_owned).collect(),
            main: main == "yes",
            main_without_media: no_media == "yes" || quirk,
        }
    }

    /// Whether Synapse registers it while users log in at this service: some rows need the Matrix Authentication Service,
    /// some exist only without it, and it excludes single sign-on (config/mas.py). Compared with the registrations of
    /// both kinds of processes of Synapse 1.163.2, with and without it.
    pub fn exists(&self, logins: Logins) -> bool {
        let needs = self.needs.as_str();
        let own = [
            "MAS disabled",
            "oidc",
            "saml2",
            "cas_config",
            "login_via_existing_session",
        ];
        let other = ["matrix_authentication_service", "+ MAS"];
        match logins {
            Logins::Synapse => !other.iter().any(|word| needs.contains(word)),
            Logins::Mas => !own.iter().any(|word| needs.contains(word)),
        }
    }

    pub fn on_worker(&self, listener: &BTreeSet<&str>) -> bool {
        self.worker
            && self
                .resources
                .iter()
                .any(|resource| listener.contains(resource.as_str()))
    }

    pub fn on_main(&self, media_moved: bool) -> bool {
        if media_moved {
            self.main_without_media
        } else {
            self.main
        }
    }

    /// The stream whose writers alone can serve this row.
    pub fn hard_stream(&self) -> Option<&str> {
        self.constraint.strip_prefix("hard:stream_writers.")
    }

    /// The example, with every method and API version.
    pub fn requests(&self) -> impl Iterator<Item = Request> {
        let requests = self.with_methods(self.versions()).into_iter();
        requests.map(|(method, path)| Request { method, path })
    }

    /// The paths with every method of the row, and with HEAD if the row has GET.
    fn with_methods(&self, paths: Vec<String>) -> Vec<(String, String)> {
        let head = self
            .methods
            .iter()
            .any(|method| method == "GET")
            .then_some("HEAD");
        let methods: Vec<&str> = self
            .methods
            .iter()
            .map(String::as_str)
            .chain(head)
            .collect();
        let with = |path: &String| {
            methods
                .iter()
                .map(|m| ((*m).to_owned(), path.clone()))
                .collect::<Vec<_>>()
        };
        paths.iter().flat_map(with).collect()
    }

    /// The example under every alternative of the pattern that is a choice between plain words.
    fn versions(&self) -> Vec<String> {
        let mut paths = vec![self.example.clone()];
        for (i, group) in self.groups.iter().enumerate() {
            let words = group.rsplit('>').next().unwrap();
            let plain = |c: char| c.is_ascii_alphanumeric() || "_/|.".contains(c);
            if words.contains('|') && words.chars().all(plain) {
                paths = paths
                    .iter()
                    .flat_map(|path| {
                        words
                            .split('|')
                            .map(|word| self.replaced(path, i + 1, word))
                    })
                    .collect();
            }
        }
        paths
    }

    /// Each version with reserved characters encoded, with a query, and with odd segments.
    fn variants(&self) -> Vec<String> {
        let mut variants = Vec::new();
        for path in self.versions() {
            let encoded = path
                .replace('!', "%21")
                .replace('@', "%40")
                .replace(':', "%3A");
            variants.push(encoded.replace('$', "%24"));
            variants.push(format!("{path}?access_token=x&a=/_matrix/client/v3/sync?"));
            for i in (0..self.groups.len()).filter(|i| self.groups[*i].ends_with("[^/]*")) {
                for segment in ["", "a%2Fb", "a.b~c-d_e", "%23x:y;z=1,2"] {
                    variants.push(self.replaced(&path, i + 1, segment));
                }
            }
        }
        variants.retain(|path| self.pattern.is_match(raw(path)));
        variants
    }

    /// The path with the match of a group replaced, or the path itself if the group matched nothing.
    fn replaced(&self, path: &str, group: usize, by: &str) -> String {
        let captures = self
            .pattern
            .captures(path)
            .unwrap_or_else(|| panic!("{path}: no match"));
        match captures.get(group) {
            Some(found) => format!("{}{by}{}", &path[..found.start()], &path[found.end()..]),
            None => path.to_owned(),
        }
    }
}

/// The path without its query.
fn raw(path: &str) -> &str {
    path.split('?').next().unwrap()
}

/// The sources of the capturing groups of a regular expression, in the order of their numbers.
fn groups(source: &str) -> Vec<String> {
    let mut groups: Vec<String> = Vec::new();
    let mut open: Vec<(usize, usize)> = Vec::new();
    let mut escaped = false;
    for (at, c) in source.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '(' => {
                open.push((groups.len(), at + 1));
                groups.push(String::new());
            }
            ')' => {
                let (group, start) = open.pop().expect("balanced");
                groups[group] = source[start..at].to_owned();
            }
            _ => {}
        }
    }
    groups
}

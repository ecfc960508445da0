//! One request, sent by curl: it connects to a chosen address, and verifies the certificate as clients do.

use crate::host::probe::reachable;
use crate::host::tools::{Output, Tool};
use crate::reach::{Answer, Kind, Question, Trouble};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// The time for one request, including its redirects.
const LIMIT: Duration = Duration::from_secs(6);
/// The time for the connection that is tried before.
const CONNECTION: Duration = Duration::from_secs(3);
/// Synapse follows as many (http/client.py, `BrowserLikeRedirectAgent`, from Twisted's `RedirectAgent`).
const REDIRECTS: &str = "20";

/// The format of the report that curl prints on standard error after the request: curl(1), `--write-out`.
const REPORT: &str = "%{stderr}{\"about\":%{json},\"headers\":%{header_json}}";

/// That report.
#[derive(Deserialize)]
struct Report {
    about: About,
    headers: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
struct About {
    http_code: u16,
    exitcode: i64,
    errormsg: Option<String>,
}

/// Sends the request of a question to its address.
pub(super) fn ask(question: &Question) -> Result<Answer, Trouble> {
    connect(question)?;
    let request = question.purpose.request();
    let seconds = LIMIT.as_secs().to_string();
    let largest = request.largest.to_string();
    let header = question.header.as_ref().map(|host| format!("Host: {host}"));
    let (to, url) = (address(question), question.url());
    let mut arguments = vec!["--disable", "--silent", "--globoff", "--max-time"];
    arguments.extend([seconds.as_str(), "--max-filesize", largest.as_str()]);
    arguments.extend(["--request", request.method, "--write-out", REPORT]);
    arguments.extend(["--user-agent", "synapse-workers reach"]);
    if request.follows {
        arguments.extend([
            "--location",
            "--max-redirs",
            REDIRECTS,
            "--proto-redir",
            "=https",
        ]);
    }
    let headers = request.headers.iter().copied().chain(header.as_deref());
    for header in headers {
        arguments.extend(["--header", header]);
    }
    arguments.extend(["--connect-to", to.as_str(), "--url", url.as_str()]);
    let limit = LIMIT + Duration::from_secs(1);
    let output = Tool::new("curl")
        .args(arguments)
        .within(limit)
        .interruptible()
        .output();
    let output = output.map_err(|error| Trouble::new(Kind::Other, &format!("{error:#}")))?;
    read(&output, request.largest)
}

/// curl's rule that sends the request of the URL to the address, and those of redirects to their own hosts.
fn address(question: &Question) -> String {
    let Question {
        host,
        port,
        address,
        ..
    } = question;
    let address = match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    format!("{host}:{port}:{address}:{port}")
}

/// Tries the connection. curl does not say why an address refuses one.
fn connect(question: &Question) -> Result<(), Trouble> {
    let address = SocketAddr::new(question.address, question.port);
    let connected = reachable(address, Instant::now() + CONNECTION);
    connected.map_err(|error| {
        let cause = error.root_cause();
        let kind = cause
            .downcast_ref::<std::io::Error>()
            .map(std::io::Error::kind);
        let kind = match kind {
            Some(ErrorKind::ConnectionRefused) => Kind::Refused,
            Some(ErrorKind::TimedOut) => Kind::Silent,
            _ => Kind::Unreachable,
        };
        Trouble::new(kind, &cause.to_string())
    })
}

/// The answer, or the error of curl.
fn read(output: &Output, largest: usize) -> Result<Answer, Trouble> {
    // curl writes headers as it receives them, in any encoding.
    let text = String::from_utf8_lossy(&output.stderr);
    let Ok(report) = serde_json::from_str::<Report>(&text) else {
        return Err(Trouble::new(
            Kind::Other,
            &format!("curl prints no report: {text}"),
        ));
    };
    let About {
        http_code,
        exitcode,
        errormsg,
    } = report.about;
    if exitcode != 0 {
        return Err(Trouble::of_curl(exitcode, &errormsg.unwrap_or_default()));
    }
    // Before 8.4, curl limits only a body whose length is announced.
    if output.stdout.len() > largest {
        return Err(Trouble::new(
            Kind::Large,
            &format!("the answer is larger than {largest} bytes"),
        ));
    }
    Ok(Answer {
        status: http_code,
        headers: report.headers,
        body: String::from_utf8_lossy(&output.stdout).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reach::Purpose;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    fn question(port: u16) -> Question {
        Question {
            purpose: Purpose::Keys,
            is_https: false,
            host: "example.org".to_owned(),
            port,
            prefix: String::new(),
            header: Some("example.org".to_owned()),
            address: [127, 0, 0, 1].into(),
            owner: "example.org".to_owned(),
            is_public: true,
        }
    }

    #[test]
    fn a_request_goes_to_the_address_with_the_name() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            // The first connection only tries the address.
            drop(listener.accept().unwrap());
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let length = stream.read(&mut request).unwrap();
            let answer = "HTTP/1.1 200 OK\r\nA: 1\r\na: 2\r\nContent-Length: 2\r\n\r\n{}";
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let answer = ask(&question(port)).unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, "{}"));
        assert_eq!(answer.header("a"), ["1", "2"]);
        let request = server.join().unwrap();
        assert!(
            request.starts_with("GET /_matrix/key/v2/server HTTP/1.1\r\nHost: example.org\r\n"),
            "{request}"
        );
    }

    #[test]
    fn a_closed_port_and_another_protocol_have_their_kinds() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(b"no TLS\n");
            }
        });
        let secure = Question {
            is_https: true,
            ..question(port)
        };
        assert_eq!(ask(&secure).unwrap_err().kind, Kind::NoTls);
        server.join().unwrap();
        assert_eq!(ask(&secure).unwrap_err().kind, Kind::Refused);
    }
}

//! The error responses of nginx itself, in the format of Synapse's (Matrix specification 1.16, client-server API,
//! "Standard error response").

/// The internal location for requests that nginx could not parse. A client that requests it gets 404.
pub(super) const ERROR_AT: &str = "/_synapse/workers/error";

/// The status inside nginx of a preflight request for an endpoint that is closed. No client receives it.
pub(super) const PREFLIGHT: u16 = 418;

/// The status inside nginx of a request whose user nginx asks for first. No client receives it.
pub(super) const ASK_USER: u16 = 419;

/// An error response to clients.
pub(super) struct ErrorAnswer {
    /// The statuses inside nginx that lead to this response; the first one is sent. Some are specific to nginx, such as
    /// 494 for a header that is too long.
    pub raised: &'static [u16],
    /// Whether nginx has parsed the path whenever it raises one of these statuses.
    pub parsed: bool,
    pub errcode: &'static str,
    pub error: &'static str,
}

/// All error responses. 408 is not among them: nginx closes the connection of a client that is too slow, without a
/// response.
pub(super) const ANSWERS: &[ErrorAnswer] = &[
    unparsed(&[400, 497], UNKNOWN, "The request is malformed"),
    parsed(
        &[403],
        "M_FORBIDDEN",
        "Only the host itself may use this endpoint",
    ),
    parsed(&[404], UNRECOGNIZED, "Unrecognized request"),
    unparsed(&[405], UNRECOGNIZED, "This method is not supported"),
    parsed(&[413], TOO_LARGE, "The body of the request is too large"),
    unparsed(&[414], TOO_LARGE, "The path and query are too long"),
    parsed(
        &[429],
        "M_LIMIT_EXCEEDED",
        "Too many requests in progress from this address",
    ),
    unparsed(&[431, 494], TOO_LARGE, "The headers are too long"),
    parsed(&[500], UNKNOWN, "The proxy in front of Synapse failed"),
    unparsed(
        &[501],
        UNRECOGNIZED,
        "This transfer encoding is not supported",
    ),
    parsed(&[502], UNKNOWN, "Synapse cannot be reached at the moment"),
    parsed(&[504], UNKNOWN, "Synapse did not answer in time"),
    unparsed(
        &[505],
        UNRECOGNIZED,
        "This version of HTTP is not supported",
    ),
];

const UNKNOWN: &str = "M_UNKNOWN";
const UNRECOGNIZED: &str = "M_UNRECOGNIZED";
const TOO_LARGE: &str = "M_TOO_LARGE";

impl ErrorAnswer {
    /// The status that clients receive.
    pub fn sent(&self) -> u16 {
        self.raised[0]
    }
}

const fn parsed(raised: &'static [u16], errcode: &'static str, error: &'static str) -> ErrorAnswer {
    ErrorAnswer {
        raised,
        parsed: true,
        errcode,
        error,
    }
}

const fn unparsed(
    raised: &'static [u16],
    errcode: &'static str,
    error: &'static str,
) -> ErrorAnswer {
    ErrorAnswer {
        parsed: false,
        ..parsed(raised, errcode, error)
    }
}

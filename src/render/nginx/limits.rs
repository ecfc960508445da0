//! The request sizes that Synapse accepts. nginx rejects a larger request with a response; Synapse would drop the
//! connection.

/// Sizes in bytes.
pub(super) struct Limits {
    /// Request line and headers together, without line ends.
    pub header: u32,
    /// nginx's first buffer for request line and headers (its own default). The second one follows it.
    pub first_buffer: u32,
    /// The body, except that of a media upload.
    pub body: u32,
    /// A host name with a port: 253 characters of DNS, a colon and five digits.
    pub host: u32,
    /// The bytes that nginx adds besides the Host header, which it repeats as X-Forwarded-Host: the names of four
    /// headers, an address, a scheme.
    added: u32,
}

/// Sources: Twisted 25.5 `web/http.py`, `HTTPChannel.totalHeadersSize` (a single line has the same limit,
/// `LineReceiver.MAX_LENGTH`); Synapse 1.163.2 `api/constants.py`, `MAX_REQUEST_SIZE`, which `app/_base.py`,
/// `max_request_body_size` raises to `max_upload_size` in processes that serve media.
pub(super) const SYNAPSE: Limits = Limits {
    header: 16_384,
    first_buffer: 1_024,
    body: 200 * 65_536,
    host: 259,
    added: 256,
};

impl Limits {
    /// The size of the second buffer. It receives a line that does not fit into the first one. A request that is no
    /// longer than this buffer always fits; a request longer than both is always rejected.
    pub fn header_buffer(&self) -> u32 {
        // HTTP/2 does not count the colon and the blank that each header gets on its way to Synapse, which accepts 500
        // headers.
        let separators = 2 * 500;
        let most = self.header - self.first_buffer - self.host - self.added - separators;
        most / 1_024 * 1_024
    }
}

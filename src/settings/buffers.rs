//! The sizes of nginx's buffers, as set or as derived from the size of a page.

use super::table::Nginx;

/// The sizes in bytes. nginx requires them to fit together (ngx_http_proxy_module.c, `merge_loc_conf`): the busy
/// buffers must hold the largest buffer and leave one of them free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffers {
    /// The part of a request that stays in memory.
    pub request: u64,
    /// The buffer for the first part of a response.
    pub first: u64,
    /// Each buffer for the rest of a response.
    pub rest: u64,
    /// The number of buffers for the rest of a response.
    pub count: u64,
    /// The part of a response that may be in transit to the client while more is read.
    pub busy: u64,
    /// The part of a response that is written to disk at once; `None` if responses stay in memory.
    pub disk: Option<u64>,
}

/// nginx's default number of buffers.
const COUNT: u64 = 8;

/// The least size of the first buffer, unless settings say otherwise. It receives all headers of a response, and nginx
/// answers 502 if they do not fit. A redirect to an OIDC provider has two session cookies of Synapse, 4 kB and more
/// together.
const HEADERS: u64 = 16_384;

impl Nginx {
    /// All sizes, as set or as derived (the Docker image's README, "Proxy Buffering fine-tuning").
    pub fn buffers(&self) -> Buffers {
        let page = u64::from(self.page_size.get());
        let pages = match self.proxy_buffering {
            true => 1,
            false => u64::from(self.buffering_disabled_multiplier.get()),
        };
        let set = |size: Option<super::table::Buffer>| size.map(|size| u64::from(size.get()));
        let smallest = |size: Option<u64>| size.unwrap_or(HEADERS);
        // A smaller limit in the settings must hold this buffer.
        let headers = HEADERS
            .min(smallest(set(self.proxy_busy_buffers_size)))
            .min(smallest(set(self.proxy_temp_file_write_size)));
        let first = set(self.proxy_buffer_size).unwrap_or(headers.max(page * pages));
        let largest = first.max(page);
        let busy = set(self.proxy_busy_buffers_size).unwrap_or(largest.max(2 * page));
        Buffers {
            request: set(self.client_body_buffer_size).unwrap_or(1024 * page),
            first,
            rest: page,
            count: COUNT.max(busy.div_ceil(page) + 1),
            busy,
            disk: set(self.proxy_temp_file_write_size),
        }
    }
}

impl Buffers {
    /// The size of the largest single buffer for responses.
    pub fn largest(&self) -> u64 {
        self.first.max(self.rest)
    }
}

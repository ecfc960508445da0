//! The sizes of nginx's buffers: those that are set, and those that follow from the size of a page.

use super::table::Nginx;

/// The sizes in bytes. nginx wants them to fit together (ngx_http_proxy_module.c, `merge_loc_conf`): what is busy has
/// to hold the largest buffer and to leave one of them free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffers {
    /// How much of a request stays in memory.
    pub request: u64,
    /// For the first part of an answer.
    pub first: u64,
    /// Each of those for the rest of an answer.
    pub rest: u64,
    /// How many of those there are.
    pub count: u64,
    /// How much may be on its way to the client while more is read.
    pub busy: u64,
    /// How much is written to disk at once.
    pub disk: u64,
}

/// nginx's own number of buffers.
const COUNT: u64 = 8;

impl Nginx {
    /// The sizes with what is derived (the ancestor's README, "Proxy Buffering fine-tuning").
    pub fn buffers(&self) -> Buffers {
        let page = u64::from(self.page_size.get());
        let pages = match self.proxy_buffering {
            true => 1,
            false => u64::from(self.buffering_disabled_multiplier.get()),
        };
        let set = |size: Option<super::table::Buffer>| size.map(|size| u64::from(size.get()));
        let first = set(self.proxy_buffer_size).unwrap_or(page * pages);
        let largest = first.max(page);
        let busy = set(self.proxy_busy_buffers_size).unwrap_or(largest.max(2 * page));
        Buffers {
            request: set(self.client_body_buffer_size).unwrap_or(1024 * page),
            first,
            rest: page,
            count: COUNT.max(busy.div_ceil(page) + 1),
            busy,
            disk: set(self.proxy_temp_file_write_size).unwrap_or(largest.max(2 * page)),
        }
    }
}

impl Buffers {
    /// The largest single buffer for answers.
    pub fn largest(&self) -> u64 {
        self.first.max(self.rest)
    }
}

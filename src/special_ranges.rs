//! Address ranges that are not public: a service that fetches URLs for others must not fetch from them.

use ipnet::IpNet;
use std::net::IpAddr;

/// Every block of IANA's two registries of special-purpose addresses (RFC 6890 and its successors, as of 2026), with
/// multicast (RFC 5771, RFC 4291) and the site-local addresses that RFC 3879 deprecates. Blocks that embed an IPv4
/// address, such as NAT64 and 6to4, are included because they would otherwise bypass the others.
pub static SPECIAL: &[&str] = &[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/128",
    "::1/128",
    "::ffff:0:0/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "2620:4f:8000::/48",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
];

/// Blocks for networks of one organisation: RFC 1918, RFC 6598 (also used by overlay networks) and RFC 4193.
static PRIVATE: &[&str] = &[
    "10.0.0.0/8",
    "100.64.0.0/10",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "fc00::/7",
];

/// Whether an address belongs to a network of one organisation, which routers of the internet do not forward to.
pub fn is_private(address: IpAddr) -> bool {
    let ranges = PRIVATE.iter().filter_map(|range| range.parse().ok());
    ranges
        .into_iter()
        .any(|range: IpNet| range.contains(&address))
}

/// The parsed blocks of [`SPECIAL`].
pub fn special() -> impl Iterator<Item = IpNet> {
    SPECIAL.iter().filter_map(|range| range.parse().ok())
}

/// Whether an address is in one of [`SPECIAL`].
pub fn is_special(address: IpAddr) -> bool {
    special().any(|range| range.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::{PRIVATE, SPECIAL, is_private, is_special, special};

    fn denied(address: &str) -> bool {
        is_special(address.parse().unwrap())
    }

    #[test]
    fn every_range_is_a_block_without_bits_of_a_host() {
        assert_eq!(special().count(), SPECIAL.len());
        for range in special() {
            assert_eq!(range.addr(), range.network(), "{range}");
        }
    }

    /// The addresses include the denied peers of Synapse's setup-turn guide and Synapse's default of
    /// `ip_range_blacklist`.
    #[test]
    fn nothing_private_is_left_out_and_nothing_public_is_in() {
        for address in [
            "0.1.2.3",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.31.0.1",
            "192.0.0.8",
            "192.168.1.1",
            "198.19.0.1",
            "224.0.0.251",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "100::1",
            "2001::1",
            "2002:a00:1::",
            "fd00::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(denied(address), "{address}");
        }
        for address in [
            "1.1.1.1",
            "172.32.0.1",
            "192.0.1.1",
            "2606:4700::1",
            "2a00::1",
        ] {
            assert!(!denied(address), "{address}");
        }
    }

    #[test]
    fn networks_of_one_organisation_are_private_and_not_public() {
        for range in PRIVATE {
            assert!(SPECIAL.contains(range), "{range}");
        }
        let private = |address: &str| is_private(address.parse().unwrap());
        assert!(private("10.0.0.1") && private("100.64.0.1") && private("fd00::1"));
        for address in [
            "127.0.0.1",
            "169.254.0.1",
            "8.8.8.8",
            "fe80::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(!private(address), "{address}");
        }
    }
}

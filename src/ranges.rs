//! Address ranges that are nobody's on the public internet: what fetches for others must not fetch from them.

/// Every block of IANA's two registries of special-purpose addresses (RFC 6890 and its successors, as of 2026), with
/// multicast (RFC 5771, RFC 4291) and the site-local addresses that RFC 3879 gave up. Those that carry an IPv4 address
/// inside, such as NAT64 and 6to4, would else be a way around the others.
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

#[cfg(test)]
mod tests {
    use super::SPECIAL;
    use crate::settings::types::Network;
    use crate::settings::value::Scalar;
    use std::net::IpAddr;

    fn denied(address: &str) -> bool {
        let address: IpAddr = address.parse().unwrap();
        SPECIAL.iter().any(|range| {
            let range = Network::parse(range).unwrap();
            let bits = |address: IpAddr| match address {
                IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 32),
                IpAddr::V6(v6) => (v6.to_bits(), 128),
            };
            let ((one, width), (other, of)) = (bits(address), bits(range.address));
            let shift = 128 - u32::from(range.prefix.unwrap());
            width == of && one >> shift == other >> shift
        })
    }

    /// The denied peers of Synapse's setup-turn guide, and its own default of `ip_range_blacklist`, among them.
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
}

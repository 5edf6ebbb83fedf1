//! Proxies in front that are trusted to say where a request comes from: their addresses and networks.
//!
//! Knows no header: `provenance.rs` has those that are believed.

use std::net::IpAddr;

/// The addresses and networks of trusted proxies.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Vec<Network>);

/// Mark of a request that comes from one of them.
#[derive(Debug, Clone, Copy)]
pub struct FromTrusted;

/// An entry that is not an address or a network; named by its place, since its text may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "`trusted_proxies`: item {item} of {items} is not an IP address or network, such as 10.1.2.3 or 10.0.0.0/8"
)]
pub struct BadNetwork {
    item: usize,
    items: usize,
}

#[derive(Debug, Clone, Copy)]
struct Network {
    address: IpAddr,
    /// Number of the leading bits that count.
    bits: u32,
}

impl TrustedProxies {
    /// Reads addresses (`10.1.2.3`, `fd00::1`) and networks (`10.0.0.0/8`, `fd00::/8`).
    ///
    /// # Errors
    /// The first entry that is neither.
    pub fn new(entries: &[String]) -> Result<TrustedProxies, BadNetwork> {
        let networks = read(entries).collect::<Result<_, _>>()?;
        Ok(TrustedProxies(networks))
    }

    /// All entries for which [`TrustedProxies::new`] fails.
    #[must_use]
    pub fn faults(entries: &[String]) -> Vec<BadNetwork> {
        read(entries).filter_map(Result::err).collect()
    }

    /// Whether `peer` is one of them.
    #[must_use]
    pub fn contain(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.0.iter().any(|network| network.contains(peer))
    }
}

fn read(entries: &[String]) -> impl Iterator<Item = Result<Network, BadNetwork>> {
    entries.iter().enumerate().map(|(index, entry)| {
        Network::parse(entry).ok_or(BadNetwork {
            item: index + 1,
            items: entries.len(),
        })
    })
}

impl Network {
    fn parse(text: &str) -> Option<Network> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address = address.parse::<IpAddr>().ok()?;
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let bits: u32 = match bits {
            // `parse` accepts a plus sign.
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => bits.parse().ok()?,
            Some(_) => return None,
            None => bits_max,
        };
        // An IPv4 address as an IPv6 socket shows it: peers are compared in their own form.
        if let IpAddr::V6(mapped) = address
            && let Some(mapped) = mapped.to_ipv4_mapped()
            && let Some(bits) = bits.checked_sub(96)
        {
            let address = IpAddr::V4(mapped);
            return (bits <= 32).then_some(Network { address, bits });
        }
        (bits <= bits_max).then_some(Network { address, bits })
    }

    fn contains(self, peer: IpAddr) -> bool {
        // Shifted so that the bits that count are left; none are left of `/0`.
        match (self.address, peer) {
            (IpAddr::V4(own), IpAddr::V4(peer)) => {
                let differing = own.to_bits() ^ peer.to_bits();
                differing.checked_shr(32 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(peer)) => {
                let differing = own.to_bits() ^ peer.to_bits();
                differing.checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_are_matched_by_their_bits() {
        let contains = |entry: &str, peer: &str| {
            let proxies = TrustedProxies::new(&[entry.to_owned()]).unwrap();
            proxies.contain(peer.parse().unwrap())
        };
        for (entry, peer) in [
            ("10.1.2.3", "10.1.2.3"),
            ("10.1.2.3", "::ffff:10.1.2.3"),
            ("::ffff:10.1.2.3", "10.1.2.3"),
            ("::ffff:10.0.0.0/104", "::ffff:10.1.2.3"),
            ("10.0.0.0/8", "10.255.0.1"),
            ("10.9.9.9/8", "10.1.2.3"),
            ("172.16.0.0/12", "172.31.0.1"),
            ("0.0.0.0/0", "1.2.3.4"),
            ("fd00::/8", "fdff::1"),
            ("::1", "::1"),
            ("::/0", "2001:db8::1"),
        ] {
            assert!(contains(entry, peer), "{entry} {peer}");
        }
        for (entry, peer) in [
            ("10.1.2.3", "10.1.2.4"),
            ("10.0.0.0/8", "11.0.0.1"),
            ("172.16.0.0/12", "172.32.0.1"),
            ("0.0.0.0/0", "::1"),
            ("fd00::/8", "fe00::1"),
            ("::/0", "1.2.3.4"),
            ("::ffff:10.1.2.3", "10.1.2.4"),
            ("::ffff:10.0.0.0/104", "11.0.0.1"),
        ] {
            assert!(!contains(entry, peer), "{entry} {peer}");
        }
        assert!(!TrustedProxies::default().contain("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn other_entries_are_named_by_their_place() {
        for entry in [
            "",
            "proxy",
            "10.0.0.0/33",
            "::/129",
            "::ffff:10.0.0.0/129",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "*",
        ] {
            let entries = ["10.0.0.1".to_owned(), entry.to_owned()];
            let bad = TrustedProxies::new(&entries).unwrap_err();
            assert_eq!(bad, BadNetwork { item: 2, items: 2 }, "{entry}");
        }
    }
}

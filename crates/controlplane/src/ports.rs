//! Free ports on the loopback address.
//!
//! Asking the system for port 0 gives one from the range that outgoing connections use too, and by the time a component binds
//! it somebody may have it. Ours lie outside that range, and outside those the in-memory backend of Cluster API holds (19000 and
//! 20000–30000). Among control planes of this crate a port is claimed by an abstract Unix socket of its name: exclusive in the
//! same network namespace as the port itself, and gone with the process. What is left of the race, a stranger, is met by
//! starting the component again.

use std::net::{Ipv4Addr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

use crate::error::{Error, Result};

const LOW: std::ops::RangeInclusive<u16> = 10_000..=18_999;
const HIGH: std::ops::RangeInclusive<u16> = 30_001..=32_767;

/// A port that no other control plane takes while this value lives.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) number: u16,
    _claim: Claim,
}

impl Port {
    /// Claims a port on which nobody listens.
    pub(crate) fn claim() -> Result<Self> {
        candidates(std::process::id())
            .find_map(|number| {
                let claim = Claim::take(&format!("port-{number}"))?;
                // Rust sets SO_REUSEADDR: connections of an earlier listener do not refuse it, a listener does.
                TcpListener::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
                Some(Self { number, _claim: claim })
            })
            .ok_or(Error::NoFreePort(*LOW.start(), *HIGH.end()))
    }
}

/// A name that one process of this machine (rather: of this network namespace) has at a time.
#[derive(Debug)]
pub(crate) struct Claim {
    _socket: UnixListener,
}

impl Claim {
    /// The claim, or nothing if another has it.
    pub(crate) fn take(name: &str) -> Option<Self> {
        UnixListener::bind_addr(&address(name)?).ok().map(|socket| Self { _socket: socket })
    }

    /// The id of the process that has it; none if nobody has.
    pub(crate) fn holder(name: &str) -> Option<i32> {
        let stream = UnixStream::connect_addr(&address(name)?).ok()?;
        rustix::net::sockopt::socket_peercred(stream).ok().map(|owner| owner.pid.as_raw_nonzero().get())
    }
}

fn address(name: &str) -> Option<SocketAddr> {
    SocketAddr::from_abstract_name(format!("kubernetes-upgrader/{name}")).ok()
}

/// Every port once, from a place that depends on `seed`, so that processes seldom try the same ones.
fn candidates(seed: u32) -> impl Iterator<Item = u16> {
    let count = LOW.len() + HIGH.len();
    // 61 shares no factor with the number of ports' neighbourhood that matters: pids next to each other start far apart.
    let start = usize::try_from(seed).unwrap_or_default().wrapping_mul(61) % count;
    LOW.chain(HIGH).cycle().skip(start).take(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn candidates_are_all_ports_once_and_none_of_the_reserved() {
        for seed in [0, 1, 4_194_304, u32::MAX] {
            let ports: BTreeSet<u16> = candidates(seed).collect();
            assert_eq!(ports.len(), LOW.len() + HIGH.len());
            assert!(
                !ports
                    .iter()
                    .any(|port| *port == 19_000 || (20_000..=30_000).contains(port) || *port > 32_767)
            );
        }
        assert_ne!(candidates(1).next(), candidates(2).next());
    }

    #[test]
    fn two_claims_never_meet_and_a_dropped_one_is_free_again() {
        let ports: Vec<Port> = (0..20).map(|_| Port::claim().unwrap()).collect();
        let numbers: BTreeSet<u16> = ports.iter().map(|port| port.number).collect();
        assert_eq!(numbers.len(), 20);
        assert!(Claim::take(&format!("port-{}", ports[0].number)).is_none());
        let number = ports[0].number;
        assert_eq!(Claim::holder(&format!("port-{number}")), i32::try_from(std::process::id()).ok());
        drop(ports);
        assert!(Claim::take(&format!("port-{number}")).is_some());
    }

    #[test]
    fn a_port_somebody_listens_on_is_passed_over() {
        let claimed = Port::claim().unwrap();
        let number = claimed.number;
        let _stranger = TcpListener::bind((Ipv4Addr::LOCALHOST, number)).unwrap();
        drop(claimed);
        assert_ne!(Port::claim().unwrap().number, number);
    }
}

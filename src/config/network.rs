//! Carves the six subnets out of the VPC. The rule depends on the VPC's CIDR alone, so the subnets
//! of a stack never move: no order, count or earlier choice goes into it.

use std::fmt;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::Serialize;

/// Holds the widest VPC AWS creates: a /16 with 65 536 addresses.
pub(super) const WIDEST_PREFIX: u8 = 16;
/// Holds the narrowest VPC that still has room for the six subnets.
pub(super) const NARROWEST_PREFIX: u8 = 21;
/// Holds the narrowest subnet a load balancer takes, with eight free addresses of its 32.
const NARROWEST_PUBLIC_PREFIX: u8 = 27;

/// Describes the VPC and how its private side reaches the internet.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Network {
    /// The VPC's address block, /16 to /21 without host bits; default `10.0.0.0/16`.
    pub cidr: Ipv4Net,
    /// Three different AZs of the region by name, or `None` to let the first `up` choose them.
    pub azs: Option<Vec<String>>,
    /// How many NAT gateways there are; default [`Nat::PerAz`].
    pub nat: Nat,
    /// Whether the private route tables reach S3 through a gateway endpoint, which is free and
    /// keeps image layers off the NAT bill; default true.
    pub s3_endpoint: bool,
}

/// Chooses the number of NAT gateways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nat {
    /// One per AZ: losing an AZ takes no other AZ's way out.
    PerAz,
    /// One for all three AZs: a third of the price, and the AZ it stands in is a single point of
    /// failure.
    Single,
    /// None: the private subnets have no way out, so tasks cannot pull an image unless VPC
    /// endpoints are added by other means.
    None,
}

impl Default for Network {
    fn default() -> Self {
        Network {
            cidr: DEFAULT_CIDR,
            azs: None,
            nat: Nat::PerAz,
            s3_endpoint: true,
        }
    }
}

const DEFAULT_CIDR: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 16);

impl Network {
    /// Returns the public subnets in AZ order.
    ///
    /// The VPC falls into sixteen equal blocks. The first one holds the public subnets, each a
    /// sixteenth of it but never narrower than the /27 a load balancer needs. Of a /16 these are
    /// three /24.
    pub fn public_cidrs(&self) -> [Ipv4Net; 3] {
        let prefix = (self.cidr.prefix_len() + 8).min(NARROWEST_PUBLIC_PREFIX);
        [0, 1, 2].map(|index| self.block(prefix, index))
    }

    /// Returns the private subnets in AZ order: the second, third and fourth of the VPC's sixteen
    /// equal blocks. Of a /16 these are three /20.
    pub fn private_cidrs(&self) -> [Ipv4Net; 3] {
        let prefix = self.cidr.prefix_len() + 4;
        [1, 2, 3].map(|index| self.block(prefix, index))
    }

    /// Returns block number `index` when the VPC is cut into blocks of `prefix`.
    fn block(&self, prefix: u8, index: u32) -> Ipv4Net {
        let prefix = prefix.min(32);
        let first = u32::from(self.cidr.network());
        let offset = index.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
        Ipv4Net::new(Ipv4Addr::from(first.wrapping_add(offset)), prefix).unwrap_or(self.cidr)
    }
}

/// Tells why a VPC cannot have a CIDR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CidrFault {
    /// Bits after the prefix are set; the block that was probably meant goes with it.
    HostBits(Ipv4Net),
    /// Wider than /16: AWS refuses it.
    TooWide,
    /// Narrower than /21: six useful subnets do not fit.
    TooNarrow,
    /// Inside a block nobody can route; its name goes with it.
    Unroutable(&'static str),
}

impl fmt::Display for CidrFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CidrFault::HostBits(meant) => write!(f, "has host bits set; did you mean {meant}?"),
            CidrFault::TooWide => write!(f, "is too big for a VPC"),
            CidrFault::TooNarrow => {
                write!(f, "is too small for three public and three private subnets")
            }
            CidrFault::Unroutable(name) => write!(f, "lies in the {name} range"),
        }
    }
}

/// Checks that a VPC can have this CIDR and that the subnets fit.
///
/// # Errors
/// Host bits, wider than /16, narrower than /21, or a range AWS refuses for a VPC.
pub(super) fn check_vpc_cidr(cidr: Ipv4Net) -> Result<(), CidrFault> {
    if cidr.prefix_len() < WIDEST_PREFIX {
        return Err(CidrFault::TooWide);
    }
    if cidr.addr() != cidr.network() {
        return Err(CidrFault::HostBits(cidr.trunc()));
    }
    if cidr.prefix_len() > NARROWEST_PREFIX {
        return Err(CidrFault::TooNarrow);
    }
    let first = cidr.network();
    let unroutable = match first.octets() {
        [0, ..] => Some("0.0.0.0/8 (this network)"),
        [127, ..] => Some("127.0.0.0/8 (loopback)"),
        [169, 254, ..] => Some("169.254.0.0/16 (link-local)"),
        [224..=255, ..] => Some("224.0.0.0/3 (multicast and reserved)"),
        _ => None,
    };
    unroutable.map_or(Ok(()), |name| Err(CidrFault::Unroutable(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn network(cidr: &str) -> Network {
        Network {
            cidr: cidr.parse().unwrap(),
            ..Network::default()
        }
    }

    fn texts(cidrs: [Ipv4Net; 3]) -> [String; 3] {
        cidrs.map(|cidr| cidr.to_string())
    }

    #[test]
    fn the_default_layout_is_the_documented_one() {
        let network = Network::default();
        assert_eq!(
            texts(network.public_cidrs()),
            ["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24"]
        );
        assert_eq!(
            texts(network.private_cidrs()),
            ["10.0.16.0/20", "10.0.32.0/20", "10.0.48.0/20"]
        );
    }

    #[test]
    fn narrower_vpcs_are_cut_in_proportion_down_to_a_27() {
        let network = network("172.20.8.0/21");
        assert_eq!(
            texts(network.public_cidrs()),
            ["172.20.8.0/27", "172.20.8.32/27", "172.20.8.64/27"]
        );
        assert_eq!(
            texts(network.private_cidrs()),
            ["172.20.8.128/25", "172.20.9.0/25", "172.20.9.128/25"]
        );
    }

    #[test]
    fn impossible_cidrs_are_told_apart() {
        let fault = |text: &str| {
            check_vpc_cidr(text.parse().unwrap())
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            fault("10.0.0.1/16"),
            "has host bits set; did you mean 10.0.0.0/16?"
        );
        assert_eq!(fault("10.0.0.0/15"), "is too big for a VPC");
        assert!(fault("10.0.0.0/22").starts_with("is too small"));
        assert!(fault("127.0.0.0/16").contains("loopback"));
        assert!(fault("169.254.0.0/16").contains("link-local"));
        assert!(fault("240.0.0.0/16").contains("reserved"));
        assert!(fault("0.1.0.0/16").contains("this network"));
    }

    proptest! {
        #[test]
        fn subnets_stay_inside_the_vpc_and_apart(
            address in any::<u32>(),
            prefix in WIDEST_PREFIX..=NARROWEST_PREFIX,
        ) {
            let cidr = Ipv4Net::new(Ipv4Addr::from(address), prefix).unwrap().trunc();
            let network = Network { cidr, ..Network::default() };
            let mut subnets = network.public_cidrs().to_vec();
            subnets.extend(network.private_cidrs());
            for (index, subnet) in subnets.iter().enumerate() {
                prop_assert!(cidr.contains(subnet), "{subnet} outside {cidr}");
                prop_assert_eq!(subnet.addr(), subnet.network());
                prop_assert!(subnet.prefix_len() <= NARROWEST_PUBLIC_PREFIX);
                for other in &subnets[index + 1..] {
                    prop_assert!(!subnet.contains(other) && !other.contains(subnet));
                }
            }
        }
    }
}

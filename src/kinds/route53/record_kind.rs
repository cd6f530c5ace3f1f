//! What a DNS record says, and when two ways of writing it mean the same.

use aws_sdk_route53::types::{AliasTarget, ResourceRecord, ResourceRecordSet, RrType};
use serde::{Deserialize, Serialize};

use crate::resource::{Resolved, Stage};

/// What a record says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "", tag = "type", rename_all = "lowercase")]
pub enum RecordKind<S: Stage> {
    /// A CNAME: another name for `value`.
    Cname {
        /// The name it stands for.
        value: S::In<String>,
        /// How long resolvers keep it, in seconds.
        ttl: u32,
    },
    /// An A record with the addresses of an AWS resource, a load balancer for example.
    Alias {
        /// The DNS name of that resource.
        target_dns_name: S::In<String>,
        /// The hosted zone that AWS keeps for such resources.
        target_zone_id: S::In<String>,
    },
    /// Something that neither the wanted nor the recorded settings say: other hands have pointed
    /// the name elsewhere. Only ever read, never declared, and left in place by a delete.
    Foreign {
        /// Its type: `A`, `CNAME` …
        record_type: String,
        /// Where it points.
        values: Vec<String>,
    },
}

impl RecordKind<Resolved> {
    pub(super) fn rr_type(&self) -> RrType {
        match self {
            Self::Cname { .. } => RrType::Cname,
            Self::Alias { .. } => RrType::A,
            Self::Foreign { record_type, .. } => record_type.as_str().into(),
        }
    }

    /// Reads a record set in the terms of the `known` settings it points like.
    pub(super) fn from_aws(set: &ResourceRecordSet, known: &[&Self]) -> Self {
        let records = set.resource_records();
        for known in known {
            match (known, set.alias_target(), records) {
                (Self::Cname { value, .. }, None, [record])
                    if set.r#type == RrType::Cname
                        && canonical(record.value()) == canonical(value) =>
                {
                    return Self::Cname {
                        value: value.clone(),
                        ttl: set.ttl().and_then(|ttl| ttl.try_into().ok()).unwrap_or(0),
                    };
                }
                (
                    Self::Alias {
                        target_dns_name,
                        target_zone_id,
                    },
                    Some(target),
                    _,
                ) if set.r#type == RrType::A
                    && target.hosted_zone_id() == target_zone_id
                    && canonical_target(target.dns_name()) == canonical_target(target_dns_name) =>
                {
                    return (*known).clone();
                }
                _ => {}
            }
        }
        let alias = set.alias_target().map(AliasTarget::dns_name);
        let values = records.iter().map(ResourceRecord::value);
        Self::Foreign {
            record_type: set.r#type.as_str().to_owned(),
            values: values.chain(alias).map(str::to_owned).collect(),
        }
    }
}

/// Writes a name as everybody compares it. Route 53 appends a dot and escapes the asterisk.
pub(super) fn canonical(name: &str) -> String {
    name.trim_end_matches('.')
        .replace("\\052", "*")
        .to_ascii_lowercase()
}

/// Writes the name of an alias target; the console puts `dualstack.` before load balancers.
fn canonical_target(name: &str) -> String {
    let name = canonical(name);
    match name.strip_prefix("dualstack.") {
        Some(rest) => rest.to_owned(),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alias(target: &str) -> RecordKind<Resolved> {
        RecordKind::Alias {
            target_dns_name: target.into(),
            target_zone_id: "Z35SXDOTRQ7X7K".into(),
        }
    }

    fn set_of(record_type: RrType, target: &str, zone: &str) -> ResourceRecordSet {
        let target = AliasTarget::builder()
            .dns_name(target)
            .hosted_zone_id(zone)
            .evaluate_target_health(false)
            .build();
        ResourceRecordSet::builder()
            .name("api.example.com.")
            .r#type(record_type)
            .alias_target(target.unwrap())
            .build()
            .unwrap()
    }

    #[test]
    fn an_alias_is_read_as_the_known_one_that_points_the_same_way() {
        let (want, last) = (
            alias("New.elb.amazonaws.com"),
            alias("old.elb.amazonaws.com"),
        );
        let read = |target| {
            let set = set_of(RrType::A, target, "Z35SXDOTRQ7X7K");
            RecordKind::from_aws(&set, &[&want, &last])
        };
        assert_eq!(read("dualstack.new.elb.amazonaws.com."), want);
        assert_eq!(read("old.elb.amazonaws.com."), last);
        let RecordKind::Foreign { values, .. } = read("third.elb.amazonaws.com.") else {
            unreachable!()
        };
        assert_eq!(values, ["third.elb.amazonaws.com."]);
    }

    #[test]
    fn another_type_or_another_zone_is_foreign_and_keeps_its_type() {
        let want = alias("a.elb.amazonaws.com");
        for (record_type, zone) in [(RrType::Aaaa, "Z35SXDOTRQ7X7K"), (RrType::A, "Z2")] {
            let set = set_of(record_type.clone(), "a.elb.amazonaws.com", zone);
            let read = RecordKind::from_aws(&set, &[&want]);
            assert!(matches!(read, RecordKind::Foreign { .. }), "{read:?}");
            assert_eq!(read.rr_type(), record_type);
        }
    }
}

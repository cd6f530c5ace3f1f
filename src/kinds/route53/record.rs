//! `route53/record`: one DNS record of a hosted zone.
//!
//! Records carry no tags, so nothing says whose a record is (law 3). One we have no journal of
//! counts as ours only if it says exactly what is wanted, and is never overwritten otherwise. A
//! recorded one that other hands have pointed elsewhere since is not deleted.

use aws_sdk_route53::error::SdkError;
use aws_sdk_route53::operation::change_resource_record_sets::ChangeResourceRecordSetsError;
use aws_sdk_route53::types::{
    AliasTarget, Change, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet,
};
use serde::{Deserialize, Serialize};

use super::RecordKind;
use super::record_kind::canonical;
use crate::aws::{Answer, Aws, GoneIsNone, incomplete};
use crate::resource::{
    Changes, Class, Condition, Error, Identity, Last, Live, Operations, Resolved, Resource, Result,
    Scope, Stage, outputs,
};

/// An `AWS::Route53::RecordSet` with simple routing.
pub struct Record;

/// The settings of a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct RecordSpec<S: Stage> {
    /// The hosted zone it is part of, `Z…`.
    pub zone_id: String,
    /// Its name, with or without the final dot.
    pub name: S::In<String>,
    /// What it says.
    pub kind: RecordKind<S>,
}

outputs! { Record =>
    /// What a record gives its dependents.
    RecordOutputs {
        /// Its full name, in lower case and without the final dot.
        fqdn: String,
    }
}

const LIST: &str = "route53:ListResourceRecordSets";
const CHANGE: &str = "route53:ChangeResourceRecordSets";
const GONE: &[&str] = &["NoSuchHostedZone"];
const REFUSED: &str = "InvalidChangeBatch";
/// More than the types one name can have.
const PAGE: i32 = 20;

impl Resource for Record {
    const KIND: &'static str = "route53/record";
    const IDENTITY: Identity = Identity::Parent;
    const OPERATIONS: Operations = Operations {
        read: &["route53:ListResourceRecordSets"],
        create: &["route53:ChangeResourceRecordSets"],
        update: &["route53:ChangeResourceRecordSets"],
        delete: &["route53:ChangeResourceRecordSets"],
    };
    const REPLACE_ON: &'static [&'static str] = &["zone_id", "name"];
    const HOLDS_INPUTS: bool = false;
    // A change of a zone is atomic, and what other hands have taken over stays.
    const DELETE_IS_FINAL: bool = true;
    type Api = Aws;
    type Spec<S: Stage> = RecordSpec<S>;
    type Outputs = RecordOutputs;

    async fn observe(
        aws: &Aws,
        _scope: &Scope,
        want: &RecordSpec<Resolved>,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let place = last.map_or(want, |last| &last.spec);
        let known: Vec<_> = [Some(&want.kind), last.map(|last| &last.spec.kind)]
            .into_iter()
            .flatten()
            .collect();
        let found = read(aws, &place.zone_id, &place.name).await?;
        let of_type = |kind: &&RecordKind<Resolved>| {
            let wanted = kind.rr_type();
            found.iter().find(|set| set.r#type == wanted)
        };
        let Some(set) = known.iter().find_map(of_type) else {
            return Ok(None);
        };
        let kind = RecordKind::from_aws(set, &known);
        if last.is_none() && kind != want.kind {
            return Ok(None);
        }
        let name = if canonical(&want.name) == canonical(&place.name) {
            &want.name
        } else {
            &place.name
        };
        Ok(Some(Live {
            outputs: RecordOutputs {
                fqdn: canonical(&place.name),
            },
            spec: RecordSpec {
                zone_id: place.zone_id.clone(),
                name: name.clone(),
                kind,
            },
            condition: Condition::Ready,
        }))
    }

    async fn create(
        aws: &Aws,
        _scope: &Scope,
        want: &RecordSpec<Resolved>,
    ) -> Result<RecordOutputs> {
        let changes = vec![(ChangeAction::Create, record_set(want)?)];
        change(aws, &want.zone_id, changes).await.map_err(|error| {
            if error.is(&[REFUSED]) {
                error.with_advice(format!(
                    "if zone {} already has a record {}, delete it or choose another name; \
                     orderctl overwrites no record it did not make",
                    want.zone_id,
                    canonical(&want.name),
                ))
            } else if error.is(GONE) {
                error.with_advice("check `edge.zone_id`: this account has no such hosted zone")
            } else {
                error
            }
        })?;
        Ok(RecordOutputs {
            fqdn: canonical(&want.name),
        })
    }

    async fn update(
        aws: &Aws,
        _scope: &Scope,
        live: &Live<Self>,
        want: &RecordSpec<Resolved>,
        changes: &Changes,
    ) -> Result<()> {
        if !changes.touch("kind") {
            return Ok(());
        }
        let mut batch = Vec::new();
        // A name with a CNAME can hold nothing else: a record of another type makes room first.
        if live.spec.kind.rr_type() != want.kind.rr_type() {
            batch.extend(removal(aws, &live.spec).await?);
        }
        batch.push((ChangeAction::Upsert, record_set(want)?));
        change(aws, &want.zone_id, batch).await
    }

    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        if matches!(live.spec.kind, RecordKind::Foreign { .. }) {
            tracing::warn!(record = %live.outputs.fqdn, "left in place: it points elsewhere by now");
            return Ok(());
        }
        let Some(removal) = removal(aws, &live.spec).await? else {
            return Ok(());
        };
        match change(aws, &live.spec.zone_id, vec![removal]).await {
            Err(error) if error.says(REFUSED, "not found") => Ok(()),
            other => other.gone_is_fine(GONE),
        }
    }
}

fn record_set(want: &RecordSpec<Resolved>) -> Result<ResourceRecordSet> {
    let set = ResourceRecordSet::builder()
        .name(&want.name)
        .r#type(want.kind.rr_type());
    let set = match &want.kind {
        RecordKind::Cname { value, ttl } => {
            let record = ResourceRecord::builder().value(value).build();
            set.ttl((*ttl).into())
                .resource_records(record.map_err(incomplete(CHANGE))?)
        }
        RecordKind::Alias {
            target_dns_name,
            target_zone_id,
        } => {
            let target = AliasTarget::builder()
                .dns_name(target_dns_name)
                .hosted_zone_id(target_zone_id)
                .evaluate_target_health(true)
                .build();
            set.alias_target(target.map_err(incomplete(CHANGE))?)
        }
        RecordKind::Foreign { record_type, .. } => {
            return Err(Error::new(
                CHANGE,
                Class::Refused,
                format!("a record of type {record_type} that is neither a CNAME nor an alias"),
            )
            .with_advice("declare a CNAME or an alias"));
        }
    };
    set.build().map_err(incomplete(CHANGE))
}

/// Reads the record sets with simple routing of one name.
async fn read(aws: &Aws, zone_id: &str, name: &str) -> Result<Vec<ResourceRecordSet>> {
    let answer = aws
        .route53
        .list_resource_record_sets()
        .hosted_zone_id(zone_id)
        .start_record_name(name)
        .max_items(PAGE)
        .send()
        .await
        .of(LIST)
        .gone_is_none(GONE)?;
    let mut sets = answer.map_or_else(Vec::new, |answer| answer.resource_record_sets);
    sets.retain(|set| canonical(set.name()) == canonical(name) && set.set_identifier().is_none());
    Ok(sets)
}

/// Makes the change that removes a record; DELETE takes only the exact live content.
async fn removal(
    aws: &Aws,
    live: &RecordSpec<Resolved>,
) -> Result<Option<(ChangeAction, ResourceRecordSet)>> {
    let sets = read(aws, &live.zone_id, &live.name).await?;
    let set = sets
        .into_iter()
        .find(|set| set.r#type == live.kind.rr_type());
    Ok(set.map(|set| (ChangeAction::Delete, set)))
}

/// Makes all `changes` or none.
async fn change(
    aws: &Aws,
    zone_id: &str,
    changes: Vec<(ChangeAction, ResourceRecordSet)>,
) -> Result<()> {
    let changes = changes
        .into_iter()
        .map(|(action, set)| {
            Change::builder()
                .action(action)
                .resource_record_set(set)
                .build()
                .map_err(incomplete(CHANGE))
        })
        .collect::<Result<_>>()?;
    let batch = ChangeBatch::builder().set_changes(Some(changes)).build();
    let answer = aws
        .route53
        .change_resource_record_sets()
        .hosted_zone_id(zone_id)
        .change_batch(batch.map_err(incomplete(CHANGE))?)
        .send()
        .await;
    // This one error carries its texts in a list instead of a message.
    let texts = match answer.as_ref().map_err(SdkError::as_service_error) {
        Err(Some(ChangeResourceRecordSetsError::InvalidChangeBatch(error))) => {
            error.messages().join("; ")
        }
        _ => String::new(),
    };
    match answer.of(CHANGE) {
        Err(error) if !texts.is_empty() => Err(Error::new(CHANGE, error.class(), texts)
            .with_code(REFUSED)
            .with_request_id(error.request_id().map(str::to_owned))),
        other => other.map(|_| ()),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_route53::Client;
    use aws_sdk_route53::operation::change_resource_record_sets::{
        ChangeResourceRecordSetsInput, ChangeResourceRecordSetsOutput,
    };
    use aws_sdk_route53::operation::list_resource_record_sets::{
        ListResourceRecordSetsError, ListResourceRecordSetsOutput,
    };
    use aws_sdk_route53::types::error::{InvalidChangeBatch, NoSuchHostedZone};
    use aws_smithy_mocks::{Rule, mock};
    use aws_smithy_types::error::ErrorMetadata;
    use serde_json::json;

    use super::*;
    use crate::aws::testing::{mocked, scope};
    use crate::resource::diff;

    const BALANCER: &str = "order-api-dev-1.us-east-1.elb.amazonaws.com";

    fn alias(name: &str, target: &str) -> RecordSpec<Resolved> {
        RecordSpec {
            zone_id: "Z1".into(),
            name: name.into(),
            kind: RecordKind::Alias {
                target_dns_name: target.into(),
                target_zone_id: "Z35SXDOTRQ7X7K".into(),
            },
        }
    }

    fn cname(value: &str, ttl: u32) -> RecordSpec<Resolved> {
        RecordSpec {
            kind: RecordKind::Cname {
                value: value.into(),
                ttl,
            },
            ..alias("api.example.com", "")
        }
    }

    fn last(spec: RecordSpec<Resolved>) -> Last<Record> {
        Last {
            outputs: RecordOutputs {
                fqdn: canonical(&spec.name),
            },
            spec,
        }
    }

    fn live(spec: RecordSpec<Resolved>) -> Live<Record> {
        let Last { outputs, spec } = last(spec);
        Live {
            outputs,
            spec,
            condition: Condition::Ready,
        }
    }

    fn sets(sets: Vec<ResourceRecordSet>) -> Rule {
        mock!(Client::list_resource_record_sets).then_output(move || {
            ListResourceRecordSetsOutput::builder()
                .set_resource_record_sets(Some(sets.clone()))
                .is_truncated(false)
                .max_items(PAGE)
                .build()
                .unwrap()
        })
    }

    fn in_aws(spec: &RecordSpec<Resolved>) -> ResourceRecordSet {
        record_set(spec).unwrap()
    }

    fn takes(expected: impl Fn(&[Change]) -> bool + Send + Sync + 'static) -> Rule {
        mock!(Client::change_resource_record_sets)
            .match_requests(move |r: &ChangeResourceRecordSetsInput| {
                expected(r.change_batch().map_or(&[][..], |batch| batch.changes()))
            })
            .then_output(|| ChangeResourceRecordSetsOutput::builder().build())
    }

    fn refuses(text: &'static str) -> Rule {
        mock!(Client::change_resource_record_sets).then_error(move || {
            let meta = ErrorMetadata::builder().code(REFUSED);
            let error = InvalidChangeBatch::builder()
                .messages(text)
                .meta(meta.build());
            ChangeResourceRecordSetsError::InvalidChangeBatch(error.build())
        })
    }

    async fn observed(
        set: ResourceRecordSet,
        want: &RecordSpec<Resolved>,
        last: Option<Last<Record>>,
    ) -> Option<Live<Record>> {
        let aws = mocked(&[&sets(vec![set])]);
        Record::observe(&aws, &scope("record"), want, last.as_ref())
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn what_route53_rewrites_is_no_difference() {
        let want = alias("*.API.example.com", BALANCER);
        let stored = alias("\\052.api.example.com.", &format!("dualstack.{BALANCER}."));
        let live = observed(in_aws(&stored), &want, None).await.unwrap();
        assert_eq!(live.spec, want);
        assert_eq!(live.outputs.fqdn, "*.api.example.com");
        let want = cname("_x2.acm-validations.aws", 300);
        let stored = cname("_x2.acm-validations.aws.", 300);
        let live = observed(in_aws(&stored), &want, None).await.unwrap();
        assert_eq!(live.spec, want);
    }

    #[tokio::test]
    async fn without_a_journal_only_exactly_the_wanted_content_is_ours() {
        let want = cname("target.example.com", 300);
        for other in [
            cname("target.example.com", 60),
            cname("elsewhere.example.com", 300),
            alias("api.example.com", BALANCER),
            alias("apj.example.com", BALANCER),
        ] {
            assert!(observed(in_aws(&other), &want, None).await.is_none());
        }
    }

    #[tokio::test]
    async fn a_recorded_one_shows_drift_and_one_of_a_gone_zone_is_none() {
        let want = cname("target.example.com", 300);
        let stored = in_aws(&cname("target.example.com", 60));
        let live = observed(stored, &want, Some(last(want.clone())))
            .await
            .unwrap();
        let changes = diff(&json!(want), &json!(live.spec), None);
        assert_eq!(changes.0.len(), 1);
        assert_eq!(changes.0[0].path, "kind.ttl");

        let gone = mock!(Client::list_resource_record_sets).then_error(|| {
            let meta = ErrorMetadata::builder().code("NoSuchHostedZone").build();
            let gone = NoSuchHostedZone::builder().meta(meta).build();
            ListResourceRecordSetsError::NoSuchHostedZone(gone)
        });
        let aws = mocked(&[&gone]);
        let record = last(want.clone());
        let live = Record::observe(&aws, &scope("record"), &want, Some(&record)).await;
        assert!(live.unwrap().is_none());
    }

    #[tokio::test]
    async fn create_overwrites_nothing_and_says_what_is_in_the_way() {
        let want = alias("api.example.com", BALANCER);
        let aws = mocked(&[&takes(|changes| {
            changes.len() == 1 && changes[0].action() == &ChangeAction::Create
        })]);
        let outputs = Record::create(&aws, &scope("record"), &want).await.unwrap();
        assert_eq!(outputs.fqdn, "api.example.com");

        let text = "Tried to create resource record set but it already exists";
        let aws = mocked(&[&refuses(text)]);
        let error = Record::create(&aws, &scope("record"), &want)
            .await
            .unwrap_err();
        assert_eq!(error.message(), text);
        assert!(error.advice().unwrap().contains("api.example.com"));
    }

    #[tokio::test]
    async fn a_change_of_type_removes_the_old_record_in_the_same_batch() {
        let old = cname("target.example.com", 300);
        let want = alias("api.example.com", BALANCER);
        let aws = mocked(&[
            &sets(vec![in_aws(&old)]),
            &takes(|changes| {
                let actions: Vec<_> = changes.iter().map(Change::action).collect();
                actions == [&ChangeAction::Delete, &ChangeAction::Upsert]
            }),
        ]);
        let live = live(old);
        let changes = diff(&json!(want), &json!(live.spec), None);
        Record::update(&aws, &scope("record"), &live, &want, &changes)
            .await
            .unwrap();
        assert_eq!(aws.calls().writes(), 1);
    }

    #[tokio::test]
    async fn delete_sends_the_exact_live_content_and_takes_a_gone_record_as_done() {
        let spec = cname("target.example.com", 300);
        let stored = in_aws(&cname("Target.example.com.", 300));
        let expected = stored.clone();
        let takes = takes(move |changes| {
            changes[0].action() == &ChangeAction::Delete
                && changes[0].resource_record_set() == Some(&expected)
        });
        let aws = mocked(&[&sets(vec![stored.clone()]), &takes]);
        let live = live(spec);
        Record::delete(&aws, &scope("record"), &live).await.unwrap();
        assert_eq!(takes.num_calls(), 1);

        let late = refuses("Tried to delete resource record set but it was not found");
        for aws in [
            mocked(&[&sets(vec![stored]), &late]),
            mocked(&[&sets(vec![])]),
        ] {
            Record::delete(&aws, &scope("record"), &live).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_name_that_other_hands_pointed_elsewhere_is_drift_and_is_not_deleted() {
        let want = alias("api.example.com", BALANCER);
        let moved = in_aws(&alias("api.example.com", "other-stack.elb.amazonaws.com"));
        let live = observed(moved, &want, Some(last(want.clone())))
            .await
            .unwrap();
        assert!(diff(&json!(want), &json!(live.spec), None).touch("kind"));
        let aws = mocked(&[]);
        Record::delete(&aws, &scope("record"), &live).await.unwrap();
        assert_eq!(aws.calls().writes(), 0);
    }
}

//! `ssm/parameter`: one value of Parameter Store.

use aws_sdk_ssm::types::{ParameterType, ResourceTypeForTagging, Tag};
use serde::{Deserialize, Serialize};

use crate::aws::{Answer, Aws, GoneIsNone, incomplete, missing};
use crate::resource::{
    Changes, Condition, Document, Identity, Last, Live, Operations, Refusal, Resolved, Resource,
    Result, Scope, Stage, Tags, outputs,
};

/// An `AWS::SSM::Parameter` of type String.
pub struct Parameter;

/// The settings of a parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct ParameterSpec<S: Stage> {
    /// Its name, which is its path: `/order-api/dev/config`.
    pub name: String,
    /// What it is for.
    pub description: S::In<String>,
    /// Its value, a JSON document.
    pub value: Document,
    /// Its tags.
    pub tags: Tags,
}

outputs! { Parameter =>
    /// What AWS gives a parameter.
    ParameterOutputs {
        /// The parameter's name.
        name: String,
        /// The parameter's ARN.
        arn: String,
    }
}

const GONE: &[&str] = &["ParameterNotFound", "InvalidResourceId"];

impl Resource for Parameter {
    const KIND: &'static str = "ssm/parameter";
    const IDENTITY: Identity = Identity::Name;
    const OPERATIONS: Operations = Operations {
        read: &["ssm:GetParameter", "ssm:ListTagsForResource"],
        create: &["ssm:PutParameter", "ssm:AddTagsToResource"],
        update: &[
            "ssm:PutParameter",
            "ssm:AddTagsToResource",
            "ssm:RemoveTagsFromResource",
        ],
        delete: &["ssm:DeleteParameter"],
    };
    const REPLACE_ON: &'static [&'static str] = &["name"];
    const HOLDS_INPUTS: bool = false;
    // Another change of the same parameter is under way.
    const REFUSALS: &'static [Refusal] = &[
        Refusal::create("TooManyUpdates", 60),
        Refusal::update("TooManyUpdates", 60),
    ];
    type Api = Aws;
    type Spec<S: Stage> = ParameterSpec<S>;
    type Outputs = ParameterOutputs;

    async fn observe(
        aws: &Aws,
        scope: &Scope,
        want: &ParameterSpec<Resolved>,
        last: Option<&Last<Self>>,
    ) -> Result<Option<Live<Self>>> {
        let name = last.map_or(&want.name, |last| &last.outputs.name);
        let answer = aws
            .ssm
            .get_parameter()
            .name(name)
            .send()
            .await
            .of("ssm:GetParameter");
        let Some(parameter) = answer
            .gone_is_none(GONE)?
            .and_then(|answer| answer.parameter)
        else {
            return Ok(None);
        };
        let arn = parameter
            .arn()
            .ok_or_else(missing("ssm:GetParameter", "ARN"))?;
        let tags = aws
            .tags(scope, arn, &want.tags, read_tags(aws, name))
            .await?;
        Ok(Some(Live {
            outputs: ParameterOutputs {
                name: name.clone(),
                arn: arn.to_owned(),
            },
            spec: ParameterSpec {
                name: name.clone(),
                // GetParameter does not return it; it never changes by itself.
                description: last
                    .map_or(&want.description, |last| &last.spec.description)
                    .clone(),
                value: Document::parse(parameter.value().unwrap_or_default()),
                tags,
            },
            condition: Condition::Ready,
        }))
    }

    async fn create(
        aws: &Aws,
        scope: &Scope,
        want: &ParameterSpec<Resolved>,
    ) -> Result<ParameterOutputs> {
        aws.ssm
            .put_parameter()
            .name(&want.name)
            .description(&want.description)
            .value(want.value.to_string())
            .r#type(ParameterType::String)
            .set_tags(Some(
                want.tags
                    .iter()
                    .map(|(k, v)| tag(k, v))
                    .collect::<Result<_>>()?,
            ))
            .send()
            .await
            .of("ssm:PutParameter")?;
        let arn = format!(
            "arn:aws:ssm:{}:{}:parameter{}",
            scope.region, scope.account, want.name
        );
        Ok(ParameterOutputs {
            name: want.name.clone(),
            arn,
        })
    }

    async fn update(
        aws: &Aws,
        _scope: &Scope,
        live: &Live<Self>,
        want: &ParameterSpec<Resolved>,
        changes: &Changes,
    ) -> Result<()> {
        if changes.touch_any(&["value", "description"]) {
            // `Overwrite` and `Tags` exclude each other (field guide, section 6).
            aws.ssm
                .put_parameter()
                .name(&want.name)
                .description(&want.description)
                .value(want.value.to_string())
                .overwrite(true)
                .send()
                .await
                .of("ssm:PutParameter")?;
        }
        if changes.touch("tags") {
            change_tags(aws, &want.name, &live.spec.tags, &want.tags).await?;
        }
        Ok(())
    }

    async fn delete(aws: &Aws, _scope: &Scope, live: &Live<Self>) -> Result<()> {
        aws.ssm
            .delete_parameter()
            .name(&live.outputs.name)
            .send()
            .await
            .of("ssm:DeleteParameter")
            .gone_is_fine(GONE)
    }
}

fn tag(key: &str, value: &str) -> Result<Tag> {
    Tag::builder()
        .key(key)
        .value(value)
        .build()
        .map_err(incomplete("ssm:PutParameter"))
}

async fn read_tags(aws: &Aws, name: &str) -> Result<Tags> {
    let answer = aws
        .ssm
        .list_tags_for_resource()
        .resource_type(ResourceTypeForTagging::Parameter)
        .resource_id(name)
        .send()
        .await
        .of("ssm:ListTagsForResource")?;
    Ok(Tags::from_pairs(
        answer.tag_list().iter().map(|tag| (tag.key(), tag.value())),
    ))
}

async fn change_tags(aws: &Aws, name: &str, live: &Tags, want: &Tags) -> Result<()> {
    let missing = want.missing_from(live);
    if !missing.is_empty() {
        aws.ssm
            .add_tags_to_resource()
            .resource_type(ResourceTypeForTagging::Parameter)
            .resource_id(name)
            .set_tags(Some(
                missing
                    .iter()
                    .map(|(k, v)| tag(k, v))
                    .collect::<Result<_>>()?,
            ))
            .send()
            .await
            .of("ssm:AddTagsToResource")?;
    }
    let surplus = want.surplus_in(live);
    if !surplus.is_empty() {
        aws.ssm
            .remove_tags_from_resource()
            .resource_type(ResourceTypeForTagging::Parameter)
            .resource_id(name)
            .set_tag_keys(Some(surplus))
            .send()
            .await
            .of("ssm:RemoveTagsFromResource")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use aws_sdk_ssm::Client;
    use aws_sdk_ssm::operation::add_tags_to_resource::AddTagsToResourceOutput;
    use aws_sdk_ssm::operation::delete_parameter::DeleteParameterError;
    use aws_sdk_ssm::operation::get_parameter::{GetParameterError, GetParameterOutput};
    use aws_sdk_ssm::operation::list_tags_for_resource::ListTagsForResourceOutput;
    use aws_sdk_ssm::operation::put_parameter::PutParameterOutput;
    use aws_sdk_ssm::operation::remove_tags_from_resource::RemoveTagsFromResourceOutput;
    use aws_sdk_ssm::types::{Parameter as AwsParameter, ParameterTier};
    use aws_smithy_mocks::{Rule, mock};
    use aws_smithy_types::error::ErrorMetadata;
    use serde_json::json;

    use super::*;
    use crate::aws::testing::{mocked, scope};
    use crate::resource::{NODE_TAG, UNKNOWN, diff};

    const NAME: &str = "/order-api/dev/config";
    const ARN: &str = "arn:aws:ssm:us-east-1:123456789012:parameter/order-api/dev/config";

    fn want() -> ParameterSpec<Resolved> {
        ParameterSpec {
            name: NAME.into(),
            description: "Read by the service when it starts".into(),
            value: Document(json!({"logLevel": "info", "maxConnections": 100})),
            tags: Tags::from_pairs([(NODE_TAG, "config")]),
        }
    }

    fn live() -> Live<Parameter> {
        Live {
            outputs: ParameterOutputs {
                name: NAME.into(),
                arn: ARN.into(),
            },
            spec: want(),
            condition: Condition::Ready,
        }
    }

    fn last() -> Last<Parameter> {
        Last {
            outputs: live().outputs,
            spec: want(),
        }
    }

    fn found() -> Rule {
        mock!(Client::get_parameter)
            .match_requests(|r| r.name() == Some(NAME))
            .then_output(|| {
                let parameter = AwsParameter::builder()
                    .name(NAME)
                    .arn(ARN)
                    .r#type(ParameterType::String)
                    .version(3)
                    .value("{\"maxConnections\": 100, \"logLevel\": \"info\"}");
                GetParameterOutput::builder()
                    .parameter(parameter.build())
                    .build()
            })
    }

    fn tags() -> Rule {
        mock!(Client::list_tags_for_resource)
            .match_requests(|r| r.resource_id() == Some(NAME))
            .then_output(|| {
                let tag = tag(NODE_TAG, "config").unwrap();
                ListTagsForResourceOutput::builder().tag_list(tag).build()
            })
    }

    fn not_found() -> ErrorMetadata {
        ErrorMetadata::builder().code("ParameterNotFound").build()
    }

    async fn update(aws: &Aws, live: &Live<Parameter>, want: &ParameterSpec<Resolved>) {
        let changes = diff(&json!(want), &json!(live.spec), None);
        Parameter::update(aws, &scope("config"), live, want, &changes)
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn observe_maps_every_field_back_and_compares_the_value_as_json() {
        let aws = mocked(&[&found(), &tags()]);
        for last in [None, Some(&last())] {
            let found = Parameter::observe(&aws, &scope("config"), &want(), last)
                .await
                .unwrap()
                .unwrap();
            assert_eq!(found.spec, want());
            assert_eq!(found.outputs, live().outputs);
            assert_eq!(found.condition, Condition::Ready);
        }
    }

    #[tokio::test]
    async fn it_is_found_while_the_rest_of_the_settings_is_unknown() {
        let unknown = ParameterSpec {
            value: Document(json!({"endpoint": UNKNOWN})),
            ..want()
        };
        let aws = mocked(&[&found(), &tags()]);
        let found = Parameter::observe(&aws, &scope("config"), &unknown, None).await;
        assert_eq!(found.unwrap().unwrap().spec.value, want().value);
    }

    #[tokio::test]
    async fn a_new_description_is_a_change_although_aws_does_not_return_the_old_one() {
        let put = mock!(Client::put_parameter)
            .match_requests(|r| r.description() == Some("New"))
            .then_output(|| PutParameterOutput::builder().build());
        let aws = mocked(&[&found(), &tags(), &put]);
        let reworded = ParameterSpec {
            description: "New".into(),
            ..want()
        };
        let found = Parameter::observe(&aws, &scope("config"), &reworded, Some(&last()))
            .await
            .unwrap()
            .unwrap();
        update(&aws, &found, &reworded).await;
        assert_eq!(put.num_calls(), 1);
    }

    #[tokio::test]
    async fn gone_is_none_and_deleting_it_is_fine() {
        let get =
            mock!(Client::get_parameter).then_error(|| GetParameterError::generic(not_found()));
        let delete = mock!(Client::delete_parameter)
            .match_requests(|r| r.name() == Some(NAME))
            .then_error(|| DeleteParameterError::generic(not_found()));
        let aws = mocked(&[&get, &delete]);
        let found = Parameter::observe(&aws, &scope("config"), &want(), Some(&last())).await;
        assert!(found.unwrap().is_none());
        Parameter::delete(&aws, &scope("config"), &live())
            .await
            .unwrap();
        assert_eq!(delete.num_calls(), 1);
    }

    #[tokio::test]
    async fn create_carries_the_tags_and_never_overwrites() {
        let put = mock!(Client::put_parameter)
            .match_requests(|r| {
                r.overwrite() != Some(true)
                    && r.r#type() == Some(&ParameterType::String)
                    && r.tier() != Some(&ParameterTier::Advanced)
                    && r.tags().len() == 1
            })
            .then_output(|| PutParameterOutput::builder().build());
        let outputs = Parameter::create(&mocked(&[&put]), &scope("config"), &want()).await;
        assert_eq!(outputs.unwrap(), live().outputs);
    }

    #[tokio::test]
    async fn update_sends_only_what_changed() {
        let put = mock!(Client::put_parameter)
            .match_requests(|r| r.overwrite() == Some(true) && r.tags().is_empty())
            .then_output(|| PutParameterOutput::builder().build());
        let add = mock!(Client::add_tags_to_resource)
            .match_requests(|r| r.resource_id() == Some(NAME) && r.tags()[0].key() == NODE_TAG)
            .then_output(|| AddTagsToResourceOutput::builder().build());
        let remove = mock!(Client::remove_tags_from_resource)
            .match_requests(|r| r.tag_keys() == ["old"])
            .then_output(|| RemoveTagsFromResourceOutput::builder().build());
        let aws = mocked(&[&put, &add, &remove]);
        let sent = || (put.num_calls(), add.num_calls(), remove.num_calls());

        let mut edited = live();
        edited.spec.value = Document(json!({"logLevel": "debug"}));
        update(&aws, &edited, &want()).await;
        assert_eq!(sent(), (1, 0, 0));

        let mut retagged = live();
        retagged.spec.tags = Tags::from_pairs([("old", "x")]);
        update(&aws, &retagged, &want()).await;
        assert_eq!(sent(), (1, 1, 1));
    }
}

//! `ssm/parameter`: one value of Parameter Store.

use aws_sdk_ssm::types::{ParameterType, ResourceTypeForTagging, Tag};
use serde::{Deserialize, Serialize};

use crate::aws::{Answer, Aws, GoneIsNone, incomplete, missing};
use crate::resource::{
    Changes, Condition, Document, Identity, Last, Live, Resolved, Resource, Result, Scope, Stage,
    Tags, outputs,
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
    const REPLACE_ON: &'static [&'static str] = &["name"];
    const HOLDS_INPUTS: bool = false;
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

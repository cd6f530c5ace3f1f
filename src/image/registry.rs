//! ECR: whether the stack's repository is there, the way into the registry, and the processor that the
//! stack's tasks run on.

use aws_sdk_ecs::types::CpuArchitecture;
use aws_smithy_types::base64;
use oci_client::secrets::RegistryAuth;

use super::Architecture;
use crate::aws::{Answer, Aws, GoneIsNone, missing};
use crate::resource::{Class, Error, Result, STACK_TAG, Tags};

const AUTHORIZE: &str = "ecr:GetAuthorizationToken";

/// A registry and the way into it. Its `Debug` shows no password.
#[derive(Clone, Debug)]
pub struct Registry {
    /// Host, and the port if it is not the usual one.
    pub host: String,
    /// Whether it speaks HTTP without TLS, which only one on loopback may.
    pub is_plain: bool,
    /// How to log in.
    pub auth: RegistryAuth,
}

impl Registry {
    /// Understands the endpoint that a token names. Credentials go over plain HTTP to loopback alone.
    fn at(endpoint: &str, auth: RegistryAuth) -> Result<Self> {
        let unusable = |why: &str| {
            Error::new(
                AUTHORIZE,
                Class::Refused,
                format!("the registry is at `{endpoint}`, {why}"),
            )
        };
        let (is_plain, rest) = match endpoint.split_once("://") {
            Some(("https", rest)) => (false, rest),
            Some(("http", rest)) => (true, rest),
            _ => return Err(unusable("which is no address")),
        };
        let host = rest.trim_end_matches('/').to_owned();
        let name = host
            .rsplit_once(':')
            .map_or(host.as_str(), |(name, _)| name);
        if is_plain && !matches!(name, "127.0.0.1" | "localhost" | "[::1]") {
            return Err(unusable("and passwords do not go over plain HTTP"));
        }
        Ok(Self {
            host,
            is_plain,
            auth,
        })
    }

    /// Says whether it is AWS's own.
    pub fn is_of_aws(&self) -> bool {
        [".amazonaws.com", ".amazonaws.com.cn"]
            .iter()
            .any(|ending| self.host.ends_with(ending))
    }
}

/// Gets the way into the account's registry, good for 12 hours (`ecr:GetAuthorizationToken`).
pub async fn authorize(aws: &Aws) -> Result<Registry> {
    let answer = aws
        .ecr
        .get_authorization_token()
        .send()
        .await
        .of(AUTHORIZE)?;
    let data = answer
        .authorization_data()
        .first()
        .ok_or_else(missing(AUTHORIZE, "authorizationData"))?;
    let token = data
        .authorization_token()
        .ok_or_else(missing(AUTHORIZE, "authorizationToken"))?;
    let endpoint = data
        .proxy_endpoint()
        .ok_or_else(missing(AUTHORIZE, "proxyEndpoint"))?;
    let pair = base64::decode(token)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    let pair = pair.as_deref().and_then(|pair| pair.split_once(':'));
    let (user, password) = pair
        .ok_or_else(|| Error::new(AUTHORIZE, Class::Refused, "the token is none that is known"))?;
    Registry::at(
        endpoint,
        RegistryAuth::Basic(user.to_owned(), password.to_owned()),
    )
}

/// A repository that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// What images in it are called, before `:tag` or `@digest`.
    pub uri: String,
    /// Whether it carries the stack's tag.
    pub is_ours: bool,
}

/// Looks for a repository (`ecr:DescribeRepositories`, `ecr:ListTagsForResource`).
pub async fn repository(aws: &Aws, name: &str, stack: &str) -> Result<Option<Repository>> {
    let described = aws
        .ecr
        .describe_repositories()
        .repository_names(name)
        .send()
        .await;
    let gone = &["RepositoryNotFoundException"];
    let Some(found) = described
        .of("ecr:DescribeRepositories")
        .gone_is_none(gone)?
    else {
        return Ok(None);
    };
    let Some(found) = found.repositories().first() else {
        return Ok(None);
    };
    let promised = |field| missing("ecr:DescribeRepositories", field);
    let arn = found
        .repository_arn()
        .ok_or_else(promised("repositoryArn"))?;
    let uri = found
        .repository_uri()
        .ok_or_else(promised("repositoryUri"))?;
    let tags = aws
        .ecr
        .list_tags_for_resource()
        .resource_arn(arn)
        .send()
        .await;
    let Some(tags) = tags.of("ecr:ListTagsForResource").gone_is_none(gone)? else {
        return Ok(None);
    };
    let tags = Tags::from_pairs(tags.tags().iter().map(|tag| (tag.key(), tag.value())));
    Ok(Some(Repository {
        uri: uri.to_owned(),
        is_ours: tags.0.get(STACK_TAG).is_some_and(|owner| owner == stack),
    }))
}

/// The processor of the newest task definition of a family (`ecs:DescribeTaskDefinition`); `None` if
/// there is none.
pub async fn processor(aws: &Aws, family: &str) -> Result<Option<Architecture>> {
    const OPERATION: &str = "ecs:DescribeTaskDefinition";
    let answer = aws
        .ecs
        .describe_task_definition()
        .task_definition(family)
        .send()
        .await;
    let found = match answer.of(OPERATION) {
        Ok(found) => found,
        // ECS has no code of its own for "there is none".
        Err(error) if error.is(&["ClientException"]) => return Ok(None),
        Err(error) => return Err(error),
    };
    let platform = found
        .task_definition()
        .and_then(|definition| definition.runtime_platform());
    Ok(Some(
        match platform.and_then(|platform| platform.cpu_architecture()) {
            Some(CpuArchitecture::Arm64) => Architecture::Arm64,
            // What a definition does not say is X86_64.
            _ => Architecture::Amd64,
        },
    ))
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecr::Client;
    use aws_sdk_ecr::operation::get_authorization_token::GetAuthorizationTokenOutput;
    use aws_sdk_ecr::types::AuthorizationData;
    use aws_smithy_mocks::mock;

    use super::*;
    use crate::aws::testing::mocked;

    #[tokio::test]
    async fn the_token_gives_the_way_in_and_is_not_shown() {
        let rule = mock!(Client::get_authorization_token).then_output(|| {
            let data = AuthorizationData::builder()
                .authorization_token(base64::encode("AWS:opensesame"))
                .proxy_endpoint("https://123456789012.dkr.ecr.eu-west-1.amazonaws.com");
            GetAuthorizationTokenOutput::builder()
                .authorization_data(data.build())
                .build()
        });
        let registry = authorize(&mocked(&[&rule])).await.unwrap();
        assert_eq!(
            registry.host,
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
        );
        assert_eq!(
            registry.auth,
            RegistryAuth::Basic("AWS".into(), "opensesame".into())
        );
        assert!(registry.is_of_aws() && !registry.is_plain);
        assert!(!format!("{registry:?}").contains("sesame"));
    }

    #[test]
    fn plain_http_is_for_loopback_alone() {
        for (endpoint, plain) in [
            ("http://127.0.0.1:5000", true),
            ("http://localhost:1/", true),
            ("https://a.b", false),
        ] {
            assert_eq!(
                Registry::at(endpoint, RegistryAuth::Anonymous)
                    .unwrap()
                    .is_plain,
                plain,
                "{endpoint}"
            );
        }
        for endpoint in [
            "http://registry.example:5000",
            "http://127.0.0.1.example",
            "http://10.0.0.1",
            "a.b",
        ] {
            assert!(
                Registry::at(endpoint, RegistryAuth::Anonymous).is_err(),
                "{endpoint}"
            );
        }
    }
}

//! Clients for unit tests: every call is answered by a rule of `aws_smithy_mocks`, none leaves the
//! process.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_mocks::{MockResponseInterceptor, Rule, RuleMode, create_mock_http_client};
use aws_smithy_runtime_api::client::interceptors::SharedInterceptor;
use aws_smithy_types::retry::RetryConfig;

use super::Aws;
use super::clients::dummy_credentials;
use crate::resource::Scope;

/// Clients that answer by the first rule that matches.
pub(crate) fn mocked(rules: &[&Rule]) -> Aws {
    mocked_in(RuleMode::MatchAny, rules)
}

/// Clients that answer by `rules` in the given mode.
pub(crate) fn mocked_in(mode: RuleMode, rules: &[&Rule]) -> Aws {
    Aws::build(&offline(), Some(answering(mode, rules)))
}

/// Answers by `rules` in the given mode.
pub(super) fn answering(mode: RuleMode, rules: &[&Rule]) -> SharedInterceptor {
    let interceptor = MockResponseInterceptor::new().rule_mode(mode);
    let interceptor = rules
        .iter()
        .fold(interceptor, |all, rule| all.with_rule(rule));
    SharedInterceptor::new(interceptor)
}

/// A configuration whose clients reach nobody.
pub(super) fn offline() -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(dummy_credentials())
        .retry_config(RetryConfig::standard())
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .http_client(create_mock_http_client())
        .build()
}

/// The scope of node `node` of the stack `dev`.
pub(crate) fn scope(node: &str) -> Scope {
    Scope {
        stack: "dev".into(),
        node: node.into(),
        account: "123456789012".into(),
        region: "us-east-1".into(),
        ..Scope::default()
    }
}

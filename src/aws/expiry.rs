//! When the credentials end, noted as the SDK fetches them: asking for them once more could open
//! another session, or ask somebody for a code.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};

/// When the credentials fetched last end.
#[derive(Clone, Debug, Default)]
pub(super) struct CredentialsEnd(Arc<Mutex<Option<SystemTime>>>);

impl CredentialsEnd {
    pub(super) fn get(&self) -> Option<SystemTime> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, credentials: &Credentials) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = credentials.expiry();
    }
}

/// The same configuration, whose credentials' end is noted.
pub(super) fn noting_the_end(sdk: SdkConfig) -> (SdkConfig, CredentialsEnd) {
    let end = CredentialsEnd::default();
    let Some(inner) = sdk.credentials_provider() else {
        return (sdk, end);
    };
    let noting = Noting {
        inner,
        end: end.clone(),
    };
    let provider = SharedCredentialsProvider::new(noting);
    let sdk = sdk.into_builder().credentials_provider(provider).build();
    (sdk, end)
}

#[derive(Debug)]
struct Noting {
    inner: SharedCredentialsProvider,
    end: CredentialsEnd,
}

impl ProvideCredentials for Noting {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let credentials = self.inner.provide_credentials().await?;
            self.end.note(&credentials);
            Ok(credentials)
        })
    }

    fn fallback_on_interrupt(&self) -> Option<Credentials> {
        self.inner.fallback_on_interrupt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_is_known_once_credentials_were_fetched() {
        let known = SystemTime::UNIX_EPOCH;
        let credentials = Credentials::new("a", "b", None, Some(known), "test");
        let sdk = SdkConfig::builder()
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build();
        let (sdk, end) = noting_the_end(sdk);
        assert_eq!(end.get(), None);
        let provider = sdk.credentials_provider().unwrap();
        provider.provide_credentials().await.unwrap();
        assert_eq!(end.get(), Some(known));
    }
}

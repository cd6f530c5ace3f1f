//! Type erasure in one place: [`Bound`] turns a typed [`Resource`] into an [`AnyKind`] that speaks
//! JSON, so the engine and the registry never see a concrete kind.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Changes, Class, Condition, Data, Error, Last, Live, Profile, Resource, Result, Scope};

/// A boxed future, as erased methods return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// [`Live`] in JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct AnyLive {
    /// See [`Live::outputs`].
    pub outputs: Value,
    /// See [`Live::spec`].
    pub spec: Value,
    /// See [`Live::condition`].
    pub condition: Condition,
}

/// [`Last`] in JSON.
#[derive(Clone, Copy, Debug)]
pub struct LastJson<'a> {
    /// See [`Last::outputs`].
    pub outputs: &'a Value,
    /// See [`Last::spec`].
    pub spec: &'a Value,
}

/// A kind without its types; specifications and outputs are JSON.
pub trait AnyKind: Send + Sync {
    /// The kind's constants.
    fn profile(&self) -> Profile;

    /// See [`Resource::observe`].
    fn observe<'a>(
        &'a self,
        scope: &'a Scope,
        want: &'a Value,
        last: Option<LastJson<'a>>,
    ) -> BoxFuture<'a, Result<Option<AnyLive>>>;

    /// See [`Resource::create`].
    fn create<'a>(&'a self, scope: &'a Scope, want: &'a Value) -> BoxFuture<'a, Result<Value>>;

    /// See [`Resource::update`].
    fn update<'a>(
        &'a self,
        scope: &'a Scope,
        live: &'a AnyLive,
        want: &'a Value,
        changes: &'a Changes,
    ) -> BoxFuture<'a, Result<()>>;

    /// See [`Resource::delete`].
    fn delete<'a>(&'a self, scope: &'a Scope, live: &'a AnyLive) -> BoxFuture<'a, Result<()>>;

    /// See [`Resource::sweep`]; `known` that do not fit the kind are left out.
    fn sweep<'a>(
        &'a self,
        scope: &'a Scope,
        known: &'a [Value],
    ) -> BoxFuture<'a, Result<Vec<AnyLive>>>;

    /// See [`Resource::make_way`].
    fn make_way<'a>(
        &'a self,
        scope: &'a Scope,
        live: &'a AnyLive,
    ) -> BoxFuture<'a, Result<Vec<String>>>;
}

/// A kind together with the clients it calls.
pub struct Bound<K: Resource> {
    api: Arc<K::Api>,
}

impl<K: Resource> Bound<K> {
    /// Binds the kind to its clients.
    pub fn new(api: Arc<K::Api>) -> Self {
        Self { api }
    }
}

impl<K: Resource> AnyKind for Bound<K> {
    fn profile(&self) -> Profile {
        Profile::of::<K>()
    }

    fn observe<'a>(
        &'a self,
        scope: &'a Scope,
        want: &'a Value,
        last: Option<LastJson<'a>>,
    ) -> BoxFuture<'a, Result<Option<AnyLive>>> {
        Box::pin(async move {
            let want = typed::<K, _>("specification", want)?;
            // A record of an older format may lack fields; the resource is then found by identity.
            let last = last.and_then(|last| {
                Some(Last::<K> {
                    outputs: serde_json::from_value(last.outputs.clone()).ok()?,
                    spec: serde_json::from_value(last.spec.clone()).ok()?,
                })
            });
            let live = K::observe(&self.api, scope, &want, last.as_ref()).await?;
            live.map(erase::<K>).transpose()
        })
    }

    fn create<'a>(&'a self, scope: &'a Scope, want: &'a Value) -> BoxFuture<'a, Result<Value>> {
        Box::pin(async move {
            let want = typed::<K, _>("specification", want)?;
            json::<K>(&K::create(&self.api, scope, &want).await?)
        })
    }

    fn update<'a>(
        &'a self,
        scope: &'a Scope,
        live: &'a AnyLive,
        want: &'a Value,
        changes: &'a Changes,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let live = restore::<K>(live)?;
            let want = typed::<K, _>("specification", want)?;
            K::update(&self.api, scope, &live, &want, changes).await
        })
    }

    fn delete<'a>(&'a self, scope: &'a Scope, live: &'a AnyLive) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { K::delete(&self.api, scope, &restore::<K>(live)?).await })
    }

    fn sweep<'a>(
        &'a self,
        scope: &'a Scope,
        known: &'a [Value],
    ) -> BoxFuture<'a, Result<Vec<AnyLive>>> {
        Box::pin(async move {
            let known: Vec<_> = known
                .iter()
                .filter_map(|spec| serde_json::from_value(spec.clone()).ok())
                .collect();
            let found = K::sweep(&self.api, scope, &known).await?;
            found.into_iter().map(erase::<K>).collect()
        })
    }

    fn make_way<'a>(
        &'a self,
        scope: &'a Scope,
        live: &'a AnyLive,
    ) -> BoxFuture<'a, Result<Vec<String>>> {
        Box::pin(async move { K::make_way(&self.api, scope, &restore::<K>(live)?).await })
    }
}

fn erase<K: Resource>(live: Live<K>) -> Result<AnyLive> {
    Ok(AnyLive {
        outputs: json::<K>(&live.outputs)?,
        spec: json::<K>(&live.spec)?,
        condition: live.condition,
    })
}

fn restore<K: Resource>(live: &AnyLive) -> Result<Live<K>> {
    Ok(Live {
        outputs: typed::<K, _>("outputs", &live.outputs)?,
        spec: typed::<K, _>("settings", &live.spec)?,
        condition: live.condition.clone(),
    })
}

fn typed<K: Resource, T: DeserializeOwned>(what: &str, value: &Value) -> Result<T> {
    serde_json::from_value(value.clone()).map_err(|error| malformed::<K>(what, &error))
}

fn json<K: Resource>(value: &impl Data) -> Result<Value> {
    serde_json::to_value(value).map_err(|error| malformed::<K>("answer", &error))
}

fn malformed<K: Resource>(what: &str, error: &serde_json::Error) -> Error {
    Error::new(
        K::KIND,
        Class::Refused,
        format!("its {what} does not fit the kind: {error}"),
    )
    .with_advice("the state file may come from another version of orderctl")
}

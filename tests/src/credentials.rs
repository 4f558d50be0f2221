//! Credentials that fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_dynamodb::config::{ConfigBag, RuntimeComponents};
use aws_smithy_runtime_api::client::identity::{
    IdentityFuture, ResolveCachedIdentity, ResolveIdentity, SharedIdentityResolver,
};

/// Credentials that are there for the first request and gone for the next. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Once(Arc<AtomicUsize>);

impl Once {
    /// Returns how often they were asked for.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl ResolveCachedIdentity for Once {
    fn resolve_cached_identity<'a>(
        &'a self,
        resolver: SharedIdentityResolver,
        components: &'a RuntimeComponents,
        config: &'a ConfigBag,
    ) -> IdentityFuture<'a> {
        if self.0.fetch_add(1, Ordering::SeqCst) > 0 {
            return IdentityFuture::ready(Err("the credentials are gone".into()));
        }
        IdentityFuture::new(async move { resolver.resolve_identity(components, config).await })
    }
}

//! Where the examples run: on the embedded engine, or on real DynamoDB with `DYNALOCK_AWS=1`.

use std::env;
use std::error::Error;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Config, Credentials, Region};
use aws_smithy_http_client::{Builder, tls};
use dynalock::embedded::Engine;

/// A DynamoDB for the examples.
pub(crate) enum DynamoDb {
    /// In this process, and gone with it.
    Embedded(Engine),
    /// In an AWS account: tables are created there, and deleted at the end.
    Aws(Box<Config>),
}

impl DynamoDb {
    /// Real DynamoDB if `DYNALOCK_AWS` is 1, else the embedded engine.
    pub(crate) fn chosen() -> Result<Self, Box<dyn Error>> {
        if env::var("DYNALOCK_AWS").as_deref() != Ok("1") {
            return Ok(Self::Embedded(Engine::in_memory()));
        }
        let of = |name: &str| {
            env::var(name).map_err(|_| format!("DYNALOCK_AWS=1 needs {name} in the environment"))
        };
        let (key, secret) = (of("AWS_ACCESS_KEY_ID")?, of("AWS_SECRET_ACCESS_KEY")?);
        let credentials = Credentials::new(key, secret, of("AWS_SESSION_TOKEN").ok(), None, "environment");
        let https =
            Builder::new().tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring));
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(of("AWS_REGION")?))
            .credentials_provider(credentials)
            .http_client(https.build_https());
        Ok(Self::Aws(config.build().into()))
    }

    /// A client of its own, as each application has one.
    pub(crate) fn client(&self) -> Client {
        match self {
            Self::Embedded(engine) => engine.client(),
            Self::Aws(config) => Client::from_conf(Config::clone(config)),
        }
    }

    /// What the reader should know about where this runs.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::Embedded(_) => "the embedded engine, in memory",
            Self::Aws(_) => "DynamoDB in your AWS account",
        }
    }
}

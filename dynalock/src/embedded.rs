//! An in-process DynamoDB behind a real SDK client, for tests, examples and development.
//!
//! An [`Engine`] owns a small DynamoDB (the `dynoxide` emulator on `SQLite`) and answers the SDK's HTTP requests in place of a
//! network connection. There is no server, no port, and there are no credentials to set up. The SDK signs, serializes, retries
//! and times out requests as always, and every error arrives as the SDK's own typed exception.
//!
//! ```
//! use aws_sdk_dynamodb::types::AttributeValue;
//! # use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
//! use dynalock::embedded::Engine;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::in_memory();
//! let client = engine.client();
//! # client
//! #     .create_table()
//! #     .table_name("accounts")
//! #     .billing_mode(BillingMode::PayPerRequest)
//! #     .attribute_definitions(
//! #         AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S).build()?,
//! #     )
//! #     .key_schema(KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build()?)
//! #     .send()
//! #     .await?;
//! // ... create the table "accounts" ...
//! let put = client
//!     .put_item()
//!     .table_name("accounts")
//!     .item("id", AttributeValue::S("alice".into()))
//!     .condition_expression("attribute_not_exists(id)");
//! put.clone().send().await?;
//!
//! let refused = put.send().await.unwrap_err().into_service_error();
//! assert!(refused.is_conditional_check_failed_exception());
//! # Ok(())
//! # }
//! ```
//!
//! # How it runs
//!
//! The database call runs inline, on the thread that polls the request. It takes microseconds, and under tokio's paused clock a
//! `spawn_blocking` would stop time from advancing. The task yields once before and once after the call, so that tasks on a
//! current-thread runtime interleave as they would over a network. If the future of a request is dropped at the second yield, the
//! request was applied and its reply is lost.
//!
//! # What it doesn't do
//!
//! - It never throttles and never answers `TransactionConflictException`: requests run one at a time.
//! - It accepts any credentials and any Region, and has no IAM.
//! - Its clock is the system's, not tokio's. A transaction's `ClientRequestToken` is remembered for ten minutes, but no longer
//!   than the engine lives.
//! - Time to live can be turned on, but expired items stay.
//! - Streams, backups, global tables and vector search answer `UnknownOperationException`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{fmt, io};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::{RetryConfig, RetryPartition, TokenBucket};
use aws_sdk_dynamodb::config::{self, BehaviorVersion, Credentials, Region, SharedHttpClient};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
};
use aws_smithy_types::body::SdkBody;
use dynoxide::{Database, DynoxideError};
use serde::{Serialize, de::DeserializeOwned};

/// A DynamoDB inside this process, in memory or in a file.
///
/// An engine is cheap to clone. Its clones, and all clients and HTTP clients made from them, share one database. The database
/// lives as long as any of these.
#[derive(Clone)]
pub struct Engine {
    /// The database, or the error of opening it. Each request returns that error, so that `in_memory` cannot fail.
    database: Result<Database, Arc<DynoxideError>>,
}

impl Engine {
    /// Starts an empty database in memory. It is gone when the last clone is dropped.
    #[must_use]
    pub fn in_memory() -> Self {
        Self { database: Database::memory().map_err(Arc::new) }
    }

    /// Opens the database in the file at `path`, or creates it. The database survives a restart.
    ///
    /// A write is in the file's log (`path` with `-wal` appended) before it is answered, so nothing is lost if the process dies.
    /// The log is merged into the file when the last clone is dropped. Move or copy the file only after that. Several processes
    /// may open one file: their writes exclude each other, but one process may still remember a table that another one deleted.
    ///
    /// # Errors
    ///
    /// The error names the path, and its source gives the cause: the folder doesn't exist, the file is no database, or another
    /// process locks it for more than 30 seconds. A path that isn't UTF-8 is refused.
    pub fn on_disk(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        // To SQLite, names such as ":memory:" are no files. An absolute path is never such a name.
        let absolute = std::path::absolute(path)?;
        let name = absolute.to_str().ok_or_else(|| {
            let message = format!("the path {} of a database is not UTF-8", path.display());
            io::Error::new(io::ErrorKind::InvalidInput, message)
        })?;
        let database = Database::new(name)
            .map_err(|source| io::Error::other(CannotOpen { path: name.to_owned(), source }))?;
        Ok(Self { database: Ok(database) })
    }

    /// Returns an SDK client of this engine.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::from_conf(self.config().build())
    }

    /// Returns the SDK configuration that [`client`](Self::client) uses, to which retries, timeouts and interceptors can be
    /// added. Requests are tried 3 times, with delays of up to 1 and 2 seconds. This does not depend on the SDK's defaults.
    ///
    /// ```
    /// use aws_sdk_dynamodb::{Client, config::retry::RetryConfig};
    /// use dynalock::embedded::Engine;
    ///
    /// let config = Engine::in_memory().config().retry_config(RetryConfig::disabled());
    /// let client = Client::from_conf(config.build());
    /// ```
    #[must_use]
    pub fn config(&self) -> config::Builder {
        config::Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .credentials_provider(Credentials::new("embedded", "embedded", None, None, "embedded"))
            .retry_config(
                RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_secs(1)),
            )
            .retry_partition(own_retry_partition())
            .http_client(self.http_client())
    }

    /// Returns the HTTP client that reaches this engine. A wrapper around it can record, delay or lose requests and replies:
    /// `engine.config().http_client(Wrapper::new(engine.http_client()))`.
    #[must_use]
    pub fn http_client(&self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(Connector(self.clone()));
        http_client_fn(move |_, _| connector.clone())
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

/// A retry quota for one configuration. By default, the SDK takes the retries of all clients of a process from one quota. A test
/// that uses it up would change the results of other tests.
fn own_retry_partition() -> RetryPartition {
    static CONFIGS: AtomicU64 = AtomicU64::new(0);
    let name = format!("dynalock-embedded-{}", CONFIGS.fetch_add(1, Ordering::Relaxed));
    RetryPartition::custom(name).token_bucket(TokenBucket::default()).build()
}

#[derive(Debug, thiserror::Error)]
#[error("cannot open the database {path}")]
struct CannotOpen {
    path: String,
    source: DynoxideError,
}

#[derive(Debug)]
struct Connector(Engine);

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let database = self.0.database.clone();
        HttpConnectorFuture::new(async move {
            let database = database.map_err(|cause| ConnectorError::user(cause.into()))?;
            // A request and its reply take their time over a network. Other tasks run meanwhile, and the future may be dropped.
            tokio::task::yield_now().await;
            let response = respond(&database, &request);
            tokio::task::yield_now().await;
            response
        })
    }
}

/// Answers a request as DynamoDB's HTTP interface does.
fn respond(database: &Database, request: &HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let target = request.headers().get("x-amz-target").unwrap_or_default();
    let operation = target.strip_prefix("DynamoDB_20120810.").unwrap_or_default();
    let body = request.body().bytes().unwrap_or_default();

    let (status, answer) = match execute(database, operation, body) {
        Some(Ok(answer)) => (200, answer),
        Some(Err(error)) => {
            let error = enveloped(operation, error);
            (error.status_code(), error.to_json())
        }
        None => (400, r#"{"__type":"com.amazon.coral.service#UnknownOperationException"}"#.to_owned()),
    };
    let status = status.try_into().map_err(|error| ConnectorError::user(Box::new(error)))?;
    let mut response = HttpResponse::new(status, SdkBody::from(answer));
    response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    Ok(response)
}

/// Defines `execute`, which deserializes the body for the operation's method, calls the method and serializes its answer. It
/// returns `None` for an operation that is not listed.
macro_rules! operations {
    ($($operation:literal => $method:ident,)*) => {
        fn execute(database: &Database, operation: &str, body: &[u8]) -> Option<Result<String, DynoxideError>> {
            match operation {
                $($operation => Some(read(body).and_then(|request| write(&database.$method(request)?))),)*
                _ => None,
            }
        }
    };
}

operations! {
    "CreateTable" => create_table,
    "DeleteTable" => delete_table,
    "DescribeTable" => describe_table,
    "UpdateTable" => update_table,
    "ListTables" => list_tables,
    "UpdateTimeToLive" => update_time_to_live,
    "DescribeTimeToLive" => describe_time_to_live,
    "TagResource" => tag_resource,
    "UntagResource" => untag_resource,
    "ListTagsOfResource" => list_tags_of_resource,
    "PutItem" => put_item,
    "GetItem" => get_item,
    "UpdateItem" => update_item,
    "DeleteItem" => delete_item,
    "Query" => query,
    "Scan" => scan,
    "BatchGetItem" => batch_get_item,
    "BatchWriteItem" => batch_write_item,
    "TransactGetItems" => transact_get_items,
    "TransactWriteItems" => transact_write_items,
    "ExecuteStatement" => execute_statement,
    "BatchExecuteStatement" => batch_execute_statement,
    "ExecuteTransaction" => execute_transaction,
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, DynoxideError> {
    serde_json::from_slice(body).map_err(|error| unreadable(&error.to_string()))
}

fn write<T: Serialize>(answer: &T) -> Result<String, DynoxideError> {
    serde_json::to_string(answer).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

/// Converts `serde_json`'s error for a request into the exception that DynamoDB returns. The messages of `dynoxide` itself begin
/// with a word that names the exception.
fn unreadable(refusal: &str) -> DynoxideError {
    let message = match refusal.rsplit_once(" at line ") {
        Some((message, position)) if position.contains(" column ") => message,
        _ => refusal,
    };
    // For DynamoDB, a missing or unknown value is a `ValidationException`, and a wrong JSON type is a `SerializationException`.
    let invalid = ["missing field", "unknown variant", "invalid type: null", "AttributeValue"];
    match message.split_once(':') {
        Some(("VALIDATION", text)) => DynoxideError::ValidationException(text.to_owned()),
        Some(("VALIDATION_REQUEST", text)) => DynoxideError::EnvelopedValidation(text.to_owned()),
        Some(("SERIALIZATION", text)) => DynoxideError::SerializationException(text.to_owned()),
        _ if invalid.iter().any(|words| message.contains(words)) => {
            DynoxideError::ValidationException(message.to_owned())
        }
        _ => DynoxideError::SerializationException(message.to_owned()),
    }
}

/// Adds the prefix that DynamoDB puts before some validation errors of three operations. `dynoxide` marks these errors by a
/// variant.
fn enveloped(operation: &str, error: DynoxideError) -> DynoxideError {
    match (operation, error) {
        ("PutItem" | "UpdateItem" | "DeleteItem", DynoxideError::EnvelopedValidation(message)) => {
            DynoxideError::ValidationException(format!("1 validation error detected: {message}"))
        }
        (_, error) => error,
    }
}

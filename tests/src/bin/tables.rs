//! Deletes what a run of the tests left on the chosen store: all tables whose names begin with `DYNALOCK_TABLE_PREFIX`.
//! `scripts/engines` starts it.

use std::process::ExitCode;
use std::time::Duration;
use std::{env, error};

use aws_sdk_dynamodb::{Client, error::SdkError, operation::delete_table::DeleteTableError};
use dynalock_tests::engines::Store;

/// How often the tables are listed. A table that is being created cannot be deleted yet.
const LOOKS: u32 = 120;
const BETWEEN: Duration = Duration::from_secs(5);

type Failure = Box<dyn error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match clear().await {
        Ok(deleted) => {
            println!("{deleted} tables deleted");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("not all tables are deleted: {failure:?}");
            ExitCode::FAILURE
        }
    }
}

async fn clear() -> Result<usize, Failure> {
    let prefix = env::var("DYNALOCK_TABLE_PREFIX").ok().filter(|prefix| !prefix.is_empty());
    let prefix = prefix.ok_or("DYNALOCK_TABLE_PREFIX is not set")?;
    let client = Store::chosen().client();
    let mut deleted = 0;
    for _ in 0..LOOKS {
        let tables = tables(&client, &prefix).await?;
        if tables.is_empty() {
            return Ok(deleted);
        }
        let mut busy = false;
        for table in tables {
            let deletion = client.delete_table().table_name(table).send().await;
            match deletion.map_err(SdkError::into_service_error) {
                Ok(_) => deleted += 1,
                Err(DeleteTableError::ResourceNotFoundException(_)) => {}
                Err(
                    DeleteTableError::ResourceInUseException(_) | DeleteTableError::LimitExceededException(_),
                ) => busy = true,
                Err(other) => return Err(other.into()),
            }
        }
        if busy {
            tokio::time::sleep(BETWEEN).await;
        }
    }
    Err("some are still there".into())
}

async fn tables(client: &Client, prefix: &str) -> Result<Vec<String>, Failure> {
    let mut pages = client.list_tables().into_paginator().items().send();
    let mut tables = Vec::new();
    while let Some(table) = pages.next().await {
        tables.push(table?);
    }
    tables.retain(|table| table.starts_with(prefix));
    Ok(tables)
}

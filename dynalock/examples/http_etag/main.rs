//! Orders over HTTP, with their versions as `ETag`s: whoever changes an order says which one with `If-Match`, and who comes too
//! late gets the order as it is now. The page in front of it shows both versions side by side, and merges them.
//!
//! ```sh
//! cargo run -p dynalock --features embedded --example http_etag # and open the address in two windows
//! cargo test -p dynalock --features embedded --example http_etag
//! ```

mod body;
mod conditions;
mod etag;
mod id;
mod log;
mod merge_patch;
mod order;
mod page;
mod problem;
mod service;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::{env, io};

use dynalock::embedded::Engine;
use tokio::net::TcpListener;
use tracing_subscriber::util::SubscriberInitExt;

use crate::order::Order;
use crate::service::Service;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = port()?;
    log::to(io::stderr).init();
    // Any `aws_sdk_dynamodb::Client` will do.
    let service = Service::new(&Engine::in_memory().client());
    service.orders.create_table().await?;
    service.orders.create(&mut Order::sample()).await?;

    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("http://{}/", listener.local_addr()?);
    Ok(axum::serve(listener, service.router()).await?)
}

/// What follows `--port`, or 3000; 0 is any free one.
fn port() -> Result<u16, Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Ok(3000),
        ["--port", port] => Ok(port.parse()?),
        _ => Err("usage: http_etag [--port NUMBER]".into()),
    }
}

//! The service: which request does what to which order.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{CACHE_CONTROL, ETAG, LOCATION, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{from_fn, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use dynalock::{Error, Retry, Table};

use crate::body::{Body, LARGEST};
use crate::conditions::Conditions;
use crate::id::OrderId;
use crate::order::{Content, Order};
use crate::problem::Problem;
use crate::{log, merge_patch, page};

#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) orders: Table<Order>,
}

impl Service {
    pub(crate) fn new(client: &Client) -> Self {
        // A client of HTTP waits no half minute.
        let retry = Retry::default().deadline(Duration::from_secs(8));
        Self { orders: Table::new(client, "orders").with_retry(retry) }
    }

    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/orders", post(create))
            .route("/orders/{id}", get(read).put(put).patch(patch).delete(delete))
            .merge(page::router())
            .fallback(|| async { Problem::no_such_resource() })
            .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
            .layer(DefaultBodyLimit::max(LARGEST))
            .layer(map_response(never_guessed))
            .layer(from_fn(log::requests))
            .with_state(self)
    }

    /// Lets `change` change the order, if it is one that the client has seen: at the moment of the write, whoever else is at
    /// work.
    async fn change(
        &self,
        id: &OrderId,
        conditions: Conditions,
        mut change: impl FnMut(&mut Order) -> Result<(), Problem> + Send,
    ) -> Result<Response, Problem> {
        let conditions = conditions.required()?;
        let changed = self.orders.try_update(id, |order| {
            conditions.check(order)?;
            change(order)
        });
        Ok(answer(StatusCode::OK, &changed.await?))
    }

    async fn create(&self, mut order: Order) -> dynalock::Result<Response> {
        self.orders.create(&mut order).await?;
        let mut response = answer(StatusCode::CREATED, &order);
        // The characters of an id stand in a URL as they are.
        response
            .headers_mut()
            .extend(HeaderValue::try_from(format!("/orders/{}", order.id)).map(|it| (LOCATION, it)));
        Ok(response)
    }
}

async fn read(
    State(service): State<Service>,
    id: OrderId,
    conditions: Conditions,
) -> Result<Response, Problem> {
    let order = service.orders.get(&id).await?.ok_or_else(Problem::no_such_order)?;
    conditions.check_seen(&order)?;
    let mut response = answer(StatusCode::OK, &order);
    if conditions.is_excluded(&order) {
        response =
            (StatusCode::NOT_MODIFIED, [(ETAG, order.etag()), (CACHE_CONTROL, ASK_AGAIN)]).into_response();
    }
    Ok(response)
}

async fn create(State(service): State<Service>, Body(sent): Body) -> Result<Response, Problem> {
    let (id, content) = Content::with_id(sent)?;
    Ok(service.create(Order::new(id, content)).await?)
}

async fn put(
    State(service): State<Service>,
    id: OrderId,
    conditions: Conditions,
    Body(sent): Body,
) -> Result<Response, Problem> {
    let content = Content::of(&id, sent)?;
    if conditions.want_none() {
        return match service.create(Order::new(id, content)).await {
            Err(Error::AlreadyExists(conflict)) => Err(Problem::stale(&conflict.current::<Order>()?)),
            created => Ok(created?),
        };
    }
    let replace = |order: &mut Order| {
        order.content = content.clone();
        Ok(())
    };
    service.change(&id, conditions, replace).await
}

async fn patch(
    State(service): State<Service>,
    id: OrderId,
    conditions: Conditions,
    Body(sent): Body,
) -> Result<Response, Problem> {
    let merge = |order: &mut Order| {
        let mut merged = order.representation();
        merge_patch::apply(&mut merged, sent.clone());
        order.content = Content::of(&order.id, merged)?;
        Ok(())
    };
    service.change(&id, conditions, merge).await
}

async fn delete(
    State(service): State<Service>,
    id: OrderId,
    conditions: Conditions,
) -> Result<Response, Problem> {
    let conditions = conditions.required()?;
    let mut order = service.orders.get(&id).await?.ok_or_else(Problem::no_such_order)?;
    for _ in 0..DELETES {
        conditions.check(&order)?;
        match service.orders.delete(&order).await {
            // Another writer came first. What it wrote may still be what the client allows, as with *.
            Err(Error::Conflict(conflict)) => order = conflict.current()?,
            deleted => return deleted.map(|_| StatusCode::NO_CONTENT.into_response()).map_err(Problem::from),
        }
    }
    Err(Problem::busy())
}

/// How often an order is to be deleted that others keep changing.
const DELETES: usize = 10;

/// Caches may keep an order, and ask with its `ETag` each time whether it is still the same.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

fn answer(status: StatusCode, order: &Order) -> Response {
    let headers = [(ETAG, order.etag()), (CACHE_CONTROL, ASK_AGAIN)];
    (status, headers, Json(order.representation())).into_response()
}

/// Browsers take the media type as it is told.
async fn never_guessed(mut response: Response) -> Response {
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

//! user-service: the registered users, as JSON under `/users` and by gRPC (UserService).

pub(super) mod grpc;
mod table;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use self::table::{NewUser, User, Users};
use crate::app::App;
use crate::extract::{Id, JsonBody, Params};
use crate::fault::Fault;
use crate::store::StoreError;

/// The longest page of the list.
const MAX_PAGE: u32 = 100;
/// The page that one gets without asking.
const PAGE: u32 = 50;

/// What both sides of the service share.
#[derive(Debug)]
struct UserState {
    app: Arc<App>,
    users: Users,
}

/// A page of the list: at most `limit` users with ids over `after`.
#[derive(Debug, Deserialize)]
struct Page {
    limit: Option<u32>,
    after: Option<i32>,
}

#[derive(Serialize)]
struct List {
    users: Vec<User>,
}

pub(super) fn build(app: &Arc<App>) -> Result<(Router, grpc::Grpc), StoreError> {
    let users = Users::open(app.config.data_dir.as_deref(), app.me.service)?;
    let state = Arc::new(UserState {
        app: Arc::clone(app),
        users,
    });
    let routes = Router::new()
        .route("/users", get(list).post(create))
        .route("/users/{id}", get(show))
        .with_state(Arc::clone(&state));
    Ok((routes, grpc::Grpc::new(state)))
}

async fn list(
    State(state): State<Arc<UserState>>,
    Params(page): Params<Page>,
) -> Result<Response, Fault> {
    let limit = page.limit.unwrap_or(PAGE).min(MAX_PAGE);
    let users = state.users.page(page.after.unwrap_or(0), limit)?;
    Ok(state.app.answer(StatusCode::OK, List { users }))
}

async fn show(State(state): State<Arc<UserState>>, Id(id): Id<i32>) -> Result<Response, Fault> {
    Ok(state.app.answer(StatusCode::OK, state.users.find(id)?))
}

async fn create(
    State(state): State<Arc<UserState>>,
    JsonBody(user): JsonBody<NewUser>,
) -> Result<Response, Fault> {
    Ok(state
        .app
        .answer(StatusCode::CREATED, state.users.add(&user)?))
}

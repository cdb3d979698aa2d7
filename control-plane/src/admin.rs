//! The admin pages of the controller, for the CLI and for people with curl. Loopback only.

use crate::hub::Hub;
use http::StatusCode;
use serde::Serialize;
use serde_json::json;
use std::sync::Arc;
use weft_model::workload::WorkloadName;
use weft_runtime::admin::{Admin, AdminReply, AdminRequest};

/// Adds the controller's pages.
#[must_use]
pub fn routes(admin: Admin, hub: &Arc<Hub>) -> Admin {
    let page = |answer: fn(&Hub, &AdminRequest) -> AdminReply| {
        let hub = Arc::clone(hub);
        move |request: AdminRequest| answer(&hub, &request)
    };
    admin
        .route("/policies", page(|hub, _| json_reply(&hub.policies())))
        .route("/problems", page(|hub, _| json_reply(&hub.file_problems())))
        .route("/proxies", page(|hub, _| json_reply(&hub.proxies())))
        .route("/events", page(events))
        .route("/config", page(config))
}

fn json_reply(value: &impl Serialize) -> AdminReply {
    match serde_json::to_vec(value) {
        Ok(body) => AdminReply::json(body),
        Err(error) => AdminReply::text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

fn events(hub: &Hub, request: &AdminRequest) -> AdminReply {
    match request.query_value("since").map(str::parse).transpose() {
        Ok(since) => json_reply(&hub.events(since.unwrap_or(0))),
        Err(_) => AdminReply::text(StatusCode::BAD_REQUEST, "since must be a number\n"),
    }
}

fn config(hub: &Hub, request: &AdminRequest) -> AdminReply {
    let workload = request
        .query_value("workload")
        .map(|it| it.replace("%2F", "/").replace("%2f", "/"));
    let Some(Ok(workload)) = workload.map(|it| it.parse::<WorkloadName>()) else {
        return AdminReply::text(
            StatusCode::BAD_REQUEST,
            "ask for ?workload=<namespace>/<name>\n",
        );
    };
    let Some(resources) = hub.config(&workload) else {
        return AdminReply::text(
            StatusCode::NOT_FOUND,
            format!("there is no workload {workload}\n"),
        );
    };
    let resources: Vec<_> = resources
        .iter()
        .map(|(version, resource)| {
            json!({ "name": resource.name(), "version": version, "resource": resource })
        })
        .collect();
    json_reply(&json!({ "workload": workload.to_string(), "resources": resources }))
}

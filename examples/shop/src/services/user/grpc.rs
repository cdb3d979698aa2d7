//! UserService over gRPC: the same table, the same knobs and the same signature as the JSON side.

use std::sync::Arc;

use http::HeaderMap;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use super::UserState;
use super::table::{NewUser, User};
use crate::fault::Fault;
use crate::proto;
use crate::proto::user_service_server::UserService;

/// The server of UserService.
#[derive(Debug, Clone)]
pub(crate) struct Grpc(Arc<UserState>);

impl Grpc {
    pub(super) const fn new(state: Arc<UserState>) -> Self {
        Self(state)
    }

    /// Lets chaos strike, runs `work` and signs its outcome, as the layers of the JSON side do.
    async fn serve(
        &self,
        metadata: MetadataMap,
        work: impl FnOnce() -> Result<User, Fault>,
    ) -> Result<Response<proto::User>, Status> {
        let outcome = match self.0.app.chaos.strike().await {
            Ok(()) => work(),
            Err(fault) => Err(fault),
        };
        let mut signature = HeaderMap::new();
        self.0.app.sign(&metadata.into_headers(), &mut signature);
        let signature = MetadataMap::from_headers(signature);
        match outcome {
            Ok(user) => {
                let mut response = Response::new(user.into());
                *response.metadata_mut() = signature;
                Ok(response)
            }
            Err(fault) => {
                let mut status = status(&fault);
                *status.metadata_mut() = signature;
                Err(status)
            }
        }
    }
}

#[tonic::async_trait]
impl UserService for Grpc {
    async fn get_user(
        &self,
        request: Request<proto::GetUserRequest>,
    ) -> Result<Response<proto::User>, Status> {
        let (metadata, _, message) = request.into_parts();
        self.serve(metadata, || self.0.users.find(message.id)).await
    }

    async fn create_user(
        &self,
        request: Request<proto::CreateUserRequest>,
    ) -> Result<Response<proto::User>, Status> {
        let (metadata, _, proto::CreateUserRequest { username, email }) = request.into_parts();
        self.serve(metadata, || self.0.users.add(&NewUser { username, email }))
            .await
    }
}

impl From<User> for proto::User {
    fn from(
        User {
            id,
            username,
            email,
            active,
        }: User,
    ) -> Self {
        Self {
            id,
            username,
            email,
            active,
        }
    }
}

fn status(fault: &Fault) -> Status {
    let code = match fault {
        Fault::Invalid(_) | Fault::TooLarge(_) => tonic::Code::InvalidArgument,
        Fault::NotFound(_) => tonic::Code::NotFound,
        Fault::Conflict(_) => tonic::Code::AlreadyExists,
        Fault::MethodNotAllowed => tonic::Code::Unimplemented,
        Fault::UserInactive(_) | Fault::ItemsUnavailable(_) | Fault::PaymentDeclined(_) => {
            tonic::Code::FailedPrecondition
        }
        Fault::UpstreamTimeout(..) | Fault::UpstreamTimedOut(..) => tonic::Code::DeadlineExceeded,
        Fault::UpstreamUnreachable(..) | Fault::UpstreamFailed(..) => tonic::Code::Unavailable,
        Fault::Storage(_) | Fault::Chaos(_) => tonic::Code::Internal,
    };
    Status::new(code, fault.to_string())
}

//! The generated code of `proto/user_service.proto`: messages, client and server of UserService.

#![expect(
    unreachable_pub,
    reason = "generated code; what it means is written in the .proto"
)]

tonic::include_proto!("_");

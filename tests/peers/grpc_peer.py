"""A real gRPC peer of the end-to-end tests: the server, and a client of each kind of call.

Messages are plain bytes, so that no generated code is needed.

    grpc_peer.py serve                      listens on 127.0.0.1:$PORT
    grpc_peer.py call HOST:PORT             one call of each kind; prints one line of JSON
"""

import json
import os
import sys
from concurrent import futures

import grpc

SERVICE = "weft.test.Echo"


def unary(request, context):
    if request == b"fail":
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "as asked")
    return request


def client_stream(requests, context):
    return b"".join(requests)


def server_stream(request, context):
    for part in range(5):
        yield request + str(part).encode()


def bidirectional(requests, context):
    for request in requests:
        yield request[::-1]


class Handler(grpc.GenericRpcHandler):
    METHODS = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "ClientStream": grpc.stream_unary_rpc_method_handler(client_stream),
        "ServerStream": grpc.unary_stream_rpc_method_handler(server_stream),
        "Bidirectional": grpc.stream_stream_rpc_method_handler(bidirectional),
    }

    def service(self, details):
        _, service, method = details.method.split("/")
        return self.METHODS.get(method) if service == SERVICE else None


def serve():
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    server.add_generic_rpc_handlers((Handler(),))
    server.add_insecure_port("127.0.0.1:" + os.environ.get("PORT", "8080"))
    server.start()
    server.wait_for_termination()


def call(target):
    # The address is given; a proxy named by the environment is for the others.
    channel = grpc.insecure_channel(target, options=[("grpc.enable_http_proxy", 0)])
    path = lambda method: "/" + SERVICE + "/" + method
    timeout = 10
    seen = {
        "unary": channel.unary_unary(path("Unary"))(b"hello", timeout=timeout).decode(),
        "client_stream": channel.stream_unary(path("ClientStream"))(
            iter([b"a", b"b", b"c"]), timeout=timeout
        ).decode(),
        "server_stream": [
            reply.decode() for reply in channel.unary_stream(path("ServerStream"))(b"n", timeout=timeout)
        ],
        "bidirectional": [
            reply.decode()
            for reply in channel.stream_stream(path("Bidirectional"))(iter([b"ab", b"cd"]), timeout=timeout)
        ],
    }
    try:
        channel.unary_unary(path("Unary"))(b"fail", timeout=timeout)
        seen["failure"] = "none"
    except grpc.RpcError as error:
        seen["failure"] = error.code().name
    print(json.dumps(seen))


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        serve()
    elif len(sys.argv) == 3 and sys.argv[1] == "call":
        call(sys.argv[2])
    else:
        sys.exit(__doc__)

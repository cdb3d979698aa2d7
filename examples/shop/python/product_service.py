#!/usr/bin/env python3
"""product-service, version 2: the paths of version 1 with richer replies.

Python's standard library only. It shows that the mesh asks nothing of a service but plain HTTP. It
calls nobody, so it has no context to forward. It reads the same variables as the other services:
PORT, BIND_ADDRESS, SHOP_VERSION, POD_NAME, DRAIN_SECONDS, CHAOS_LATENCY_MS, CHAOS_ERROR_RATE.
"""

import json
import math
import os
import random
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SERVICE = "product-service"
CURRENCY = "EUR"
MAX_BODY = 64 * 1024
MAX_LATENCY_MS = 60_000
MAX_DRAIN_SECONDS = 25
# How long requests in flight may take once the process stops.
FINISH_SECONDS = 10
# How long an idle connection is kept.
IDLE_SECONDS = 30
EXIT_USAGE = 64
ENDING = {signal.SIGTERM, signal.SIGINT}

CATALOGUE = json.loads(Path(__file__).with_name("catalogue.json").read_text(encoding="utf-8"))


class Invalid(ValueError):
    """A setting or a body that is not right; the text says why."""


class Chaos:
    """The knobs. Each is read anew for each request."""

    def __init__(self, latency_ms=0, error_rate=0.0, error_status=500):
        self._lock = threading.Lock()
        self._knobs = {}
        self.turn({"latency_ms": latency_ms, "error_rate": error_rate,
                   "error_status": error_status})

    def knobs(self):
        with self._lock:
            return dict(self._knobs)

    def turn(self, change):
        """Sets the knobs that `change` names; the others stay."""
        if not isinstance(change, dict):
            raise Invalid("chaos takes an object")
        with self._lock:
            knobs = {**self._knobs, **change}
            if unknown := set(knobs) - {"latency_ms", "error_rate", "error_status"}:
                raise Invalid(f"chaos has no {', '.join(sorted(unknown))}")
            if not _is_int(knobs["latency_ms"], 0, MAX_LATENCY_MS):
                raise Invalid(f"chaos takes milliseconds, at most {MAX_LATENCY_MS}")
            rate = knobs["error_rate"]
            if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
                raise Invalid("chaos takes a share from 0 to 1")
            if not _is_int(knobs["error_status"], 500, 599):
                raise Invalid("chaos takes a status from 500 to 599")
            self._knobs = knobs
            return dict(knobs)

    def reset(self):
        return self.turn({"latency_ms": 0, "error_rate": 0.0, "error_status": 500})

    def strike(self):
        """Waits as the knobs say; returns the status with which this request fails, or None."""
        knobs = self.knobs()
        if knobs["latency_ms"]:
            time.sleep(knobs["latency_ms"] / 1000)
        return knobs["error_status"] if random.random() < knobs["error_rate"] else None


def _is_int(value, low, high):
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


class Settings:
    """What the environment says, all errors listed together."""

    def __init__(self, environ):
        self._environ = environ
        self._errors = []
        in_cluster = bool(environ.get("KUBERNETES_SERVICE_HOST"))
        port = self._number("PORT", int, 8080, 0, 65535)
        default = "" if in_cluster else "127.0.0.1"
        self.address = (environ.get("BIND_ADDRESS") or default, port)
        self.version = environ.get("SHOP_VERSION") or "v2"
        host = environ.get("HOSTNAME") if in_cluster else None
        self.instance = environ.get("POD_NAME") or host or f"{SERVICE}-{port}"
        self.drain = self._number("DRAIN_SECONDS", float, 0.0, 0, MAX_DRAIN_SECONDS)
        self.chaos = Chaos(self._number("CHAOS_LATENCY_MS", int, 0, 0, MAX_LATENCY_MS),
                           self._number("CHAOS_ERROR_RATE", float, 0.0, 0, 1))
        if self._errors:
            raise Invalid("; ".join(self._errors))

    def _number(self, key, kind, default, low, high):
        text = self._environ.get(key)
        if not text:
            return default
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if low <= value <= high:
            return value
        self._errors.append(f"{key}={text!r} is not a number from {low} to {high}")
        return default


def peer(header):
    """The SPIFFE id of the immediate peer in x-forwarded-client-cert, or None."""
    if not header:
        return None
    for pair in _split(_split(header, ",")[-1], ";"):
        key, _, value = pair.partition("=")
        value = value.strip().strip('"')
        if key.strip().lower() == "uri" and value.startswith("spiffe://"):
            return value
    return None


def _split(text, separator):
    """Splits where `separator` stands outside double quotes."""
    parts, quoted, escaped = [""], False, False
    for char in text:
        was_escaped, escaped = escaped, quoted and char == "\\" and not escaped
        if char == '"' and not was_escaped:
            quoted = not quoted
        if char == separator and not quoted:
            parts.append("")
        else:
            parts[-1] += char
    return parts


def view(product):
    """A product as version 2 tells it: all that the catalogue knows."""
    return {**product, "currency": CURRENCY, "inStock": product["stock"] > 0}


class Server(ThreadingHTTPServer):
    """Counts its requests, so that the end can wait for those in flight."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, settings):
        self.settings = settings
        self.draining = threading.Event()
        self._in_flight = 0
        self._changed = threading.Condition()
        # Every address of both families if the machine has IPv6, as in the other services.
        if not settings.address[0] and socket.has_dualstack_ipv6():
            self.address_family = socket.AF_INET6
        super().__init__(settings.address, Handler, bind_and_activate=False)
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            self.server_bind()
            self.server_activate()
        except BaseException:
            self.server_close()
            raise

    def server_bind(self):
        # Not HTTPServer's, which asks DNS for the name of this host.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = SERVICE, self.server_address[1]

    def begin(self):
        with self._changed:
            self._in_flight += 1

    def end(self):
        with self._changed:
            self._in_flight -= 1
            self._changed.notify_all()

    def finish(self, seconds):
        """Waits for the requests in flight; False if some are left."""
        with self._changed:
            return self._changed.wait_for(lambda: self._in_flight == 0, seconds)

    def handle_error(self, request, client_address):
        # A client that went away is no event.
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = SERVICE
    sys_version = ""
    timeout = IDLE_SECONDS
    # Head and body leave in one segment, and Nagle's algorithm does not hold them back.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self):
        self._answer()

    do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = do_GET

    def _answer(self):
        self.server.begin()
        try:
            try:
                body = self._body()
                status, reply = self._route(self.path.partition("?")[0], body)
            except Invalid as error:
                status, reply = 400, self._error("invalid_request", str(error))
            self._send(status, reply)
        finally:
            self.server.end()

    def _route(self, path, body):
        chaos = self.server.settings.chaos
        if path == "/healthz":
            if self.command not in ("GET", "HEAD"):
                return self._wrong_method()
            if self.server.draining.is_set():
                return 503, {"status": "draining"}
            return 200, {"status": "ok"}
        if path == "/chaos":
            if self.command == "GET":
                return 200, chaos.knobs()
            if self.command == "POST":
                return 200, chaos.turn(self._json(body))
            if self.command == "DELETE":
                return 200, chaos.reset()
            return self._wrong_method()
        kind, _, key = path.strip("/").partition("/")
        if kind != "products" or "/" in key:
            return 404, self._error("not_found", "there is no such path")
        if failure := chaos.strike():
            return failure, self._error("chaos", "the chaos knob struck")
        if self.command not in ("GET", "HEAD"):
            return self._wrong_method()
        if not key:
            return 200, {"products": [view(product) for product in CATALOGUE]}
        if not key.isascii() or not key.isdigit():
            raise Invalid(f"{key!r} is no id")
        for product in CATALOGUE:
            if product["id"] == int(key):
                return 200, view(product)
        return 404, self._error("not_found", f"there is no product {key}")

    def _wrong_method(self):
        return 405, self._error("method_not_allowed", "this path takes another method")

    @staticmethod
    def _error(code, detail):
        return {"error": code, "upstream": None, "detail": detail}

    def _body(self):
        """Reads the body, so that the next request of the connection begins where it ends."""
        if "transfer-encoding" in self.headers:
            self.close_connection = True
            raise Invalid("a body needs a content-length here")
        text = self.headers.get("content-length", "0")
        if not (text.isascii() and text.isdigit()) or int(text) > MAX_BODY:
            self.close_connection = True
            raise Invalid(f"a body is at most {MAX_BODY} bytes long")
        return self.rfile.read(int(text))

    @staticmethod
    def _json(body):
        try:
            return json.loads(body)
        except ValueError as error:
            raise Invalid(f"the body is not right: {error}") from error

    def _send(self, status, reply):
        settings = self.server.settings
        me = {"service": SERVICE, "version": settings.version, "instance": settings.instance}
        payload = json.dumps({**me, **reply}).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(payload)))
        for key, value in me.items():
            self.send_header(f"x-shop-{key}", value)
        certs = self.headers.get_all("x-forwarded-client-cert") or [None]
        if caller := peer(certs[-1]):
            self.send_header("x-shop-caller", caller)
        if self.server.draining.is_set():
            self.send_header("connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(payload)
        self.wfile.flush()

    def log_message(self, *_):
        """Nothing: the mesh has the access log."""


def main():
    # Before the first thread, which inherits the mask: only sigwait below takes these signals.
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        settings = Settings(os.environ)
    except Invalid as error:
        print(f"{SERVICE}: {error}", file=sys.stderr)
        return EXIT_USAGE
    try:
        server = Server(settings)
    except OSError as error:
        print(f"{SERVICE}: cannot listen on {settings.address}: {error}", file=sys.stderr)
        return 1

    print(f"{SERVICE} {settings.version} {settings.instance} listening on "
          f"{server.server_address[0]}:{server.server_address[1]}", file=sys.stderr, flush=True)
    serving = threading.Thread(target=server.serve_forever, args=(0.2,), daemon=True)
    serving.start()
    # SIGTERM drains first; SIGINT is a person at a terminal: no drain. A further one skips it.
    number = signal.sigwait(ENDING)
    server.draining.set()
    if number == signal.SIGTERM and settings.drain > 0:
        signal.sigtimedwait(ENDING, settings.drain)
    server.shutdown()
    server.server_close()
    # From here on the signals do what they do by default: a further one ends the wait.
    for number in ENDING:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    if not server.finish(FINISH_SECONDS):
        print(f"{SERVICE}: requests were still in flight", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())

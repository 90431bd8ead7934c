"""An object store of the tests' own: moto's S3 server, and a proxy before it that fails as networks and stores do."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import botocore.config

from .cluster import free_port, wait_for

# moto takes any keys and checks no signature.
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "test-key", "AWS_SECRET_ACCESS_KEY": "test-secret", "AWS_SESSION_TOKEN": "",
               "AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_PROFILE": "", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent/credentials"}
REGION = "us-east-1"

SLOW_DOWN = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
NO_SUCH_UPLOAD = b"<?xml version='1.0'?><Error><Code>NoSuchUpload</Code><Message>It was aborted or completed.</Message></Error>"
# What becomes of a request: passed on; the connection closed before it is passed on; closed after the store did it, before its
# answer; closed within the answer; refused for the moment.
PASS, DROP, LOSE, CUT, BUSY, FAIL = "pass", "drop", "lose", "cut", "busy", "fail"


class ObjectStore:
    """One server process, whose objects live as long as it does."""

    def __init__(self, folder: Path, tls: tuple[Path, Path] | None = None):
        """`tls`: certificate and key."""
        self.port = free_port()
        self.endpoint = f"{'https' if tls else 'http'}://{'localhost' if tls else '127.0.0.1'}:{self.port}"
        self._log = open(folder / "object_store.log", "w")
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        if tls:
            command += ["-c", str(tls[0]), "-k", str(tls[1])]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT,
                                         env={name: value for name, value in os.environ.items()
                                              if not name.startswith("AWS_")})
        wait_for(self._answers, 60, "the object store")
        self.s3 = boto3.client("s3", endpoint_url=self.endpoint, region_name=REGION, aws_access_key_id="test-key",
                               aws_secret_access_key="test-secret", verify=False if tls else None,
                               config=botocore.config.Config(s3={"addressing_style": "path"}))

    def _answers(self) -> bool:
        assert self._process.poll() is None, "the object store did not start"
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def bucket(self, name: str) -> str:
        self.s3.create_bucket(Bucket=name)
        return name

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def read(self, bucket: str, key: str) -> bytes:
        return self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    def uploads(self, bucket: str) -> list[str]:
        return [upload["Key"] for upload in self.s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])]

    def close(self):
        self._process.kill()
        self._process.wait()
        self._log.close()


class FlakyProxy:
    """Between tarn and the store. `fate(method, path)` says what becomes of a request; `requests` are those that came."""

    def __init__(self, port: int, fate: Callable[[str, str], str] = lambda method, path: PASS):
        self.fate = fate
        self.requests: list[tuple[str, str, str]] = []
        self.headers: list[tuple[str, str, dict[str, str]]] = []  # Of the same requests, names in small letters.
        self.withheld: set[str] = set()  # Headers of requests that the store is not shown.
        self._lock = threading.Lock()
        self._conditional = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # Head and body are two writes, and the second would wait for an answer to the first.

            def log_message(self, *_):
                pass

            def handle_one_request(self):
                try:
                    super().handle_one_request()
                except OSError:  # Whoever asked is gone.
                    self.close_connection = True

            def answer(self):
                proxy._answer(self, port)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def _answer(self, handler: BaseHTTPRequestHandler, port: int):
        body = handler.rfile.read(int(handler.headers.get("content-length") or 0))
        with self._lock:
            fate = self.fate(handler.command, handler.path)
            self.requests.append((handler.command, handler.path, fate))
            self.headers.append((handler.command, handler.path, {name.lower(): value for name, value in handler.headers.items()}))
        if fate == DROP:
            return self._hang_up(handler)
        if fate in (BUSY, FAIL):
            return self._send(handler, 503 if fate == BUSY else 500, {}, SLOW_DOWN if fate == BUSY else b"")
        headers = {name: value for name, value in handler.headers.items() if name.lower() not in self.withheld}
        # moto looks first and writes then, which S3 does as one: one conditional write at a time.
        conditional = any(name.lower() == "if-none-match" for name in headers)
        with self._conditional if conditional else contextlib.nullcontext():
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request(handler.command, handler.path, body, headers)
            response = connection.getresponse()
            content = response.read()
            connection.close()
        if fate == LOSE:
            return self._hang_up(handler)
        if response.status == 500 and "uploadId=" in handler.path:  # moto's answer where S3 says this.
            return self._send(handler, 404, {}, NO_SUCH_UPLOAD)
        self._send(handler, response.status, dict(response.getheaders()), content, cut=fate == CUT)

    def _send(self, handler, status: int, headers: dict, body: bytes, cut: bool = False):
        handler.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                handler.send_header(name, value)
        length = len(body)
        if handler.command == "HEAD":
            length = next((value for name, value in headers.items() if name.lower() == "content-length"), 0)
        handler.send_header("Content-Length", str(length))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(body[:len(body) // 2] if cut else body)
        if cut:
            self._hang_up(handler)

    @staticmethod
    def _hang_up(handler):
        handler.close_connection = True
        handler.connection.shutdown(socket.SHUT_RDWR)

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

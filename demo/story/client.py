"""Asks a running tarn over the lake's socket, as `tarn query` does, without starting a process for each question."""

import json
import os
import socket
import struct
import time
from functools import cached_property
from pathlib import Path

import pyarrow as pa


class TarnError(Exception):
    """What tarn answered instead of rows."""


class Answer:
    def __init__(self, batches, statistics):
        self.table = pa.Table.from_batches([b for b in batches if b.num_rows] or batches[:1])
        self.statistics = statistics

    @cached_property
    def rows(self) -> list[dict]:
        return self.table.to_pylist()

    def value(self):
        """The only cell of a one-cell answer."""
        return next(iter(self.rows[0].values()))


class Client:
    def __init__(self, lake: Path):
        self._folder = os.open(lake / "_tarn", os.O_RDONLY | os.O_DIRECTORY)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(f"/proc/self/fd/{self._folder}/tarn.sock")

    def close(self):
        self._socket.close()
        os.close(self._folder)

    def _receive(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            part = self._socket.recv(size - len(parts))
            if not part:
                raise TarnError("the connection to tarn ended")
            parts += part
        return bytes(parts)

    def _ask(self, request: dict):
        payload = json.dumps(request).encode()
        self._socket.sendall(b"Q" + struct.pack("<I", len(payload)) + payload)
        batches = []
        while True:
            kind, length = struct.unpack("<cI", self._receive(5))
            payload = self._receive(length)
            if kind == b"B":
                batches += list(pa.ipc.open_stream(payload))
            elif kind == b"J":
                return batches, json.loads(payload)
            elif kind == b"E":
                raise TarnError(json.loads(payload)["message"])

    def query(self, sql: str, principal: str = "operator", as_of_micros: int | None = None) -> Answer:
        request = {"command": "query", "sql": sql, "principal": principal}
        if as_of_micros is not None:
            request["as_of_micros"] = as_of_micros
        return Answer(*self._ask(request))

    def status(self) -> dict:
        return self._ask({"command": "status"})[1]

    def verify(self) -> dict:
        return self._ask({"command": "verify"})[1]


def connect(lake: Path, seconds: float = 60, alive=lambda: True) -> Client:
    """Waits for tarn to answer; gives up early when `alive` says that it ended."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return Client(lake)
        except OSError:
            if time.monotonic() > deadline or not alive():
                raise
            time.sleep(0.05)

"""One open connection to a running tarn that asks statement after statement, as `tarn query` does once; it may read an answer slowly."""

from __future__ import annotations

import json
import os
import socket
import struct
from pathlib import Path
from typing import Iterator

import pyarrow as pa

from .local_socket import receive


class RowsClient:
    """Frames as in src/server/frames.h. Threads: one."""

    def __init__(self, lake: Path, receive_buffer: int | None = None):
        """`receive_buffer`: bytes that the socket holds at most, so that a reader that waits has tarn wait."""
        folder = os.open(lake / "_tarn", os.O_RDONLY | os.O_DIRECTORY)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            self.socket.connect(f"/proc/self/fd/{folder}/tarn.sock")
        finally:
            os.close(folder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def batches(self, sql: str) -> Iterator[pa.RecordBatch]:
        """As they come; tarn goes on when the caller does."""
        payload = json.dumps({"command": "query", "sql": sql, "principal": "operator"}).encode()
        self.socket.sendall(b"Q" + struct.pack("<I", len(payload)) + payload)
        while True:
            kind, length = struct.unpack("<cI", receive(self.socket, 5))
            payload = receive(self.socket, length)
            if kind == b"B":
                yield from pa.ipc.open_stream(payload)
            elif kind == b"J":
                return
            elif kind == b"E":
                raise AssertionError(json.loads(payload)["message"])

    def rows(self, sql: str) -> list[dict]:
        return [row for batch in self.batches(sql) for row in batch.to_pylist()]

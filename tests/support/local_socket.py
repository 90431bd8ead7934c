"""What `tarn status` asks a running tarn, without starting a process for each look: waiting tests look often."""

from __future__ import annotations

import json
import os
import socket
import struct
from pathlib import Path

REPLY = b"J"


def receive(connection: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(size - len(parts))
        if not part:
            raise ConnectionError("the connection to tarn ended")
        parts += part
    return bytes(parts)


def ask(folder: Path, command: str, seconds: float = 30) -> dict | None:
    """The reply of the tarn that runs on the lake `folder`; None when nobody answers. Frames as in src/server/frames.h."""
    try:
        folder_fd = os.open(folder / "_tarn", os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(seconds)
            connection.connect(f"/proc/self/fd/{folder_fd}/tarn.sock")  # Short, however long the folder's name is.
            request = json.dumps({"command": command}).encode()
            connection.sendall(b"Q" + struct.pack("<I", len(request)) + request)
            kind, length = struct.unpack("<cI", receive(connection, 5))
            payload = receive(connection, length)
            return json.loads(payload) if kind == REPLY else None
    except (FileNotFoundError, ConnectionError):
        return None
    finally:
        os.close(folder_fd)

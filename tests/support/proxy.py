"""Between tarn and its server: a TCP proxy that cuts connections, each after as many bytes as it is told."""

from __future__ import annotations

import select
import socket
import struct
import threading
from collections.abc import Callable


class CuttingProxy:
    """`bytes_of_next()` says after how many bytes from the server a new connection is cut; None: never. While `held` is set, a
    connection whose login names it waits."""

    def __init__(self, port: int, bytes_of_next: Callable[[], int | None]):
        self._to = port
        self._bytes_of_next = bytes_of_next
        self.cuts = 0
        self.held: str | None = None
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._run(self._accept)

    def _run(self, function, *arguments):
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        while not self._stop.is_set():
            if not select.select([self._listener], [], [], 0.1)[0]:
                continue
            client, _ = self._listener.accept()
            with self._lock:
                budget = self._bytes_of_next()
            self._run(self._carry, client, budget)

    def _carry(self, client: socket.socket, budget: int | None):
        """Until either side closes, or the bytes are used up: then the last ones are sent, and nothing more."""
        with client:
            try:
                with socket.create_connection(("127.0.0.1", self._to)) as server:
                    while not self._stop.is_set():
                        for ready in select.select([client, server], [], [], 0.1)[0]:
                            data = ready.recv(65536)
                            if not data:
                                return
                            if ready is client:
                                while self.held and self.held.encode() in data and not self._stop.is_set():
                                    self._stop.wait(0.02)
                                server.sendall(data)
                                continue
                            if budget is not None and len(data) >= budget:
                                client.sendall(data[:budget])
                                self._cut(client)
                                return
                            budget = budget - len(data) if budget is not None else None
                            client.sendall(data)
            except OSError:  # A side is gone in the middle of a write.
                return

    def _cut(self, client: socket.socket):
        with self._lock:
            self.cuts += 1
            if self.cuts % 2:  # Every second one is reset, not closed in order.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def close(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(10)
        self._listener.close()

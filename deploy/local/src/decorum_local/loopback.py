"""Free ports on the loopback address, that stay free while a server is down for a moment."""

from __future__ import annotations

import random
import socket
import threading
from typing import Final

HOST: Final = "127.0.0.1"
# Below the ranges from which Linux and macOS take the local ports of outgoing connections: a server that is killed
# and restarted on its own port must not find it used by somebody's client.
PORT_MIN: Final = 15_000
PORT_MAX: Final = 32_000
TRIES_MAX: Final = 500

_given: set[int] = set()
_lock = threading.Lock()


def free_port() -> int:
    """Return a port that nothing listens on and that this process has not been given before."""
    with _lock:
        for _ in range(TRIES_MAX):
            port = random.SystemRandom().randrange(PORT_MIN, PORT_MAX)
            if port not in _given and _can_listen(port):
                _given.add(port)
                return port
    raise OSError(f"no free port on {HOST} between {PORT_MIN} and {PORT_MAX}")


def _can_listen(port: int) -> bool:
    with socket.socket() as listener:
        try:
            listener.bind((HOST, port))
        except OSError:
            return False
        return True

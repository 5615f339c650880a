"""Free ports on the loopback address, that stay free while a server is down for a moment."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
import threading
from functools import cache
from pathlib import Path
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
    """Return a port that nothing listens on, and that this account gives to nobody else until this process ends."""
    with _lock:
        for _ in range(TRIES_MAX):
            port = random.SystemRandom().randrange(PORT_MIN, PORT_MAX)
            if port not in _given and _can_listen(port) and _reserve(port):
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


def _reserve(port: int) -> bool:
    """Keep a port from the other processes of this account, also while its server is not up yet or down for a moment.

    The kernel ends it with this process, however that ends: each port is a byte of one empty file, locked.
    """
    try:
        fcntl.lockf(_reservations(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except (BlockingIOError, PermissionError):  # POSIX has both for a lock that another process holds
        return False
    return True


@cache
def _reservations() -> int:
    """The file's descriptor, open to the end: closing any of them would give up all that this process holds."""
    path = Path(tempfile.gettempdir()) / f"decorum-ports-{os.getuid()}"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)

"""Servers that are down for a moment find their ports again, whatever else is started on the machine meanwhile."""

from __future__ import annotations

import subprocess
import sys

PORTS = 500
"""Two processes that draw as many of 17,000 and don't know of each other have some in common, but once in a million."""

DRAW = f"""
import sys
from decorum_local.loopback import free_port
print(*(free_port() for _ in range({PORTS})), flush=True)
sys.stdin.read()
"""


def _drawing() -> subprocess.Popen[str]:
    """A process that draws ports, listens on none of them, and stays until its input ends."""
    return subprocess.Popen([sys.executable, "-c", DRAW], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_no_port_is_given_to_two_processes_though_nobody_listens_on_it_yet() -> None:
    with _drawing() as one, _drawing() as other:
        drawn = [process.stdout.readline().split() for process in (one, other) if process.stdout]
        for process in (one, other):
            process.communicate()
    ports = [port for ports in drawn for port in ports]
    assert len(ports) == 2 * PORTS
    assert len(set(ports)) == len(ports)

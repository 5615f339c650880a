"""A request on a connection that has just broken fails as aiokafka expects it to, whichever event loop runs.

uvloop says RuntimeError of a transport that is closed and not yet known to be lost, where asyncio's own takes the bytes
and says nothing. aiokafka waits for OSError alone: the error ends the task that keeps its metadata or its place in the
group, and with it the consumer, for good.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError

_send: Final[Callable[..., Any]] = AIOKafkaConnection.send


def send(connection: Any, request: Any, expect_response: bool = True) -> Any:
    """aiokafka's `send`; raises KafkaConnectionError where the transport is closed already."""
    try:
        return _send(connection, request, expect_response=expect_response)
    except RuntimeError as error:
        if not connection._writer.transport.is_closing():
            raise
        connection.close(reason=CloseReason.CONNECTION_BROKEN)
        raise KafkaConnectionError(f"Connection at {connection.host}:{connection.port} is closed") from error


def install() -> None:
    """Let every connection of this process send this way."""
    AIOKafkaConnection.send = send

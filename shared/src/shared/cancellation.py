"""Tells an order to end from a cancelled future that comes out of a client.

Clients cancel futures of their own, for example while a server goes away in the middle of a connection's start. Taken
for an order to end, such an error would end a loop for good and without a word.
"""

from __future__ import annotations

import asyncio


def is_order_to_end(error: BaseException) -> bool:
    """Whether `error` is a `CancelledError` because somebody asked the running task to end; no other one is."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0

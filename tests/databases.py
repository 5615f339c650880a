"""Databases with a service's schema, for tests of what stands on them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from decorum_local import LocalPlatform
from shared.postgres.migrations import migrate

_numbers = count(1)


@contextmanager
def migrated_database(platform: LocalPlatform, package: str) -> Iterator[str]:
    """The URL of an empty database with the schema of `package`; it is dropped at the end."""
    name = f"{package}_{os.getpid()}_migrated_{next(_numbers)}"
    url = platform.database_url(name)
    asyncio.run(migrate(package, url))
    yield url
    platform.drop_databases([name])

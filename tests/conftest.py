"""One embedded Kafka and one PostgreSQL for each worker, fresh databases and topics for each test that asks."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from decorum_local import LocalPlatform
from decorum_local.platform import DATABASE_VARIABLE, KAFKA_VARIABLE, SERVICE_DATABASES

VAR = Path(__file__).parents[1] / "var" / "test"

_numbers = count(1)

# Speed is measured by the benchmark, not by tests: a loaded machine must not fail one, so what asks the clock is off,
# and a test says no more than its number of examples. Where CI is set, examples are the same in each run; elsewhere
# every run looks at new ones. A property draws all of its data before it runs any code: an error between two draws
# would be told as inconsistent data generation, not as itself.
settings.register_profile(
    "decorum",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
)
settings.load_profile("decorum")


def pytest_configure(config: pytest.Config) -> None:
    """Servers that somebody named are not shared: tests empty the topics and databases that services have there."""
    named = [variable for variable in (KAFKA_VARIABLE, DATABASE_VARIABLE) if os.environ.get(variable)]
    if named and len(config.getoption("tx", [])) > 1:
        raise pytest.UsageError(f"two workers would be in each other's way on the servers of {' and '.join(named)}")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Clean up before any worker is there: none may come upon another's folder just before that is locked."""
    if not hasattr(session.config, "workerinput"):
        _remove_abandoned_runs()


@pytest.fixture(scope="session")
def platform() -> Iterator[LocalPlatform]:
    """Kafka and PostgreSQL, started at the first use; a test that kills one of them starts it again."""
    folder = VAR / str(os.getpid())
    with LocalPlatform(folder) as started:
        yield started
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def fresh_database(platform: LocalPlatform) -> Iterator[Callable[[str], str]]:
    """Make empty databases: `fresh_database("ledger")` returns the URL of a new one, dropped after the test."""
    made: list[str] = []

    def make(name: str) -> str:
        made.append(f"{name}_{os.getpid()}_{next(_numbers)}")
        return platform.database_url(made[-1])

    yield make
    platform.drop_databases(made)


@pytest.fixture
def database_url(fresh_database: Callable[[str], str]) -> str:
    """The URL of one empty database."""
    return fresh_database("test")


@pytest.fixture
def topic_prefix() -> str:
    """What the names of a test's own topics and consumer groups begin with, so that no other test meets them."""
    return f"test-{os.getpid()}-{next(_numbers)}."


@pytest.fixture
def clean_platform(platform: LocalPlatform) -> LocalPlatform:
    """The platform with empty service databases (not migrated) and empty topics, for tests that run whole services."""
    platform.drop_databases(SERVICE_DATABASES)
    platform.create_databases(SERVICE_DATABASES)
    platform.empty_topics()
    return platform


def _remove_abandoned_runs() -> None:
    """Remove the folders of earlier runs that were killed: nobody holds their lock."""
    for lock_path in VAR.glob("*/lock"):
        with lock_path.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(lock_path.parent, ignore_errors=True)

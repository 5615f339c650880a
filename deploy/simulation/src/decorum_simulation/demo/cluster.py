"""Everything that a run needs, started and ended: servers, topics, schemas, the four services, the carrier."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from decorum_local.platform import LocalPlatform
from decorum_local.stack import SERVICES, Stack, StackOptions
from decorum_simulation.demo.driver import CARRIER
from decorum_simulation.demo.participants import Participant
from decorum_simulation.virtual_world import Plan

PARTITIONS: Final = 1
"""One replica of each service reads all: fewer partitions mean fewer and larger batches."""


class Cluster:
    """The processes of one run; a context manager that leaves none behind."""

    def __init__(self, plan: Plan, *, folder: Path, journal: Path, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._folder = folder
        self._journal = journal
        self._say = say
        self._stack: Stack | None = None
        self.platform = LocalPlatform(folder, keep_data=False)

    def __enter__(self) -> Self:
        self._say("starting Kafka and PostgreSQL")
        self.platform.start()
        try:
            self._start()
        except BaseException:
            self.platform.stop()
            raise
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error_type is None and self._stack is not None:
                self._stack.stop()
        finally:
            self.platform.stop()

    def participants(self) -> list[Participant]:
        """Every process with a virtual clock, by the name of what it runs."""
        assert self._stack is not None, "only inside the context"
        services = [Participant(name, self._stack.replicas[name][0].url) for name in SERVICES]
        return [Participant(CARRIER, self._stack.carrier.url), *services]

    def environment(self) -> dict[str, str]:
        """What leads a reader of the databases and topics to this run."""
        assert self._stack is not None, "only inside the context"
        return self._stack.environment()

    def _start(self) -> None:
        options = StackOptions(
            environment={
                "DECORUM_CLOCK": "virtual",
                "DECORUM_CLOCK_START": self._plan.start.isoformat(),
                "DECORUM_LOG_LEVEL": "warning",
                "CARRIER_SEED": str(self._plan.seed),
                "CARRIER_LOG": str(self._journal.absolute()),
                "CARRIER_WEBHOOKS_IN_FLIGHT_MAX": "64",
                "CARRIER_SWALLOWED_SHARE": str(self._plan.conditions.swallowed_share),
            }
        )
        self._stack = Stack(self.platform, self._folder / "logs", options)
        self._say("creating topics and schemas")
        self.platform.create_topics(partitions=PARTITIONS)
        self._stack.prepare()
        self._say("starting the services")
        self._stack.start()

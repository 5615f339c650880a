"""How tests are dealt out to the workers of one run (`make test`): what stands on shared servers stays together."""

from __future__ import annotations

from typing import Final

from xdist.scheduler import LoadFileScheduling

END_TO_END: Final = "tests/e2e/"


def portion_of(test: str) -> str:
    """What the worker that is given a test runs with it: its file, whose set-up they share, or all end-to-end tests.

    Those take the whole machine: no two of them run at the same time.
    """
    return END_TO_END if test.startswith(END_TO_END) else test.split("::", 1)[0]


class Portions(LoadFileScheduling):
    """A portion at a time, in the order of the command line.

    Whoever puts long files first and the end-to-end tests last has every worker busy, and those tests alone at the end.
    """

    def _split_scope(self, nodeid: str) -> str:
        return portion_of(nodeid)

"""The `decorum` script: what it imports takes a moment, and Ctrl-C in that moment ends it without a trace.

This module imports nothing but the standard library, so that the moment before it takes hold is a short one.
"""

from __future__ import annotations

import signal


def main() -> None:
    """Load the command, then run it with the handling of Ctrl-C that was there."""
    handled = signal.getsignal(signal.SIGINT)
    if handled is signal.default_int_handler:  # one that is ignored, as in a background job, stays so
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from shared.cli import run

    run(ready=lambda: signal.signal(signal.SIGINT, handled))

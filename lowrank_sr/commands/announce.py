"""Tell the user what the first run waits for: Numba compiles, and the methods are timed. Later runs do neither."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import event


class _CompilationNotice(event.Listener):
    """Says once that something is compiled."""

    def __init__(self) -> None:
        self.said = False

    def on_start(self, event: Any) -> None:
        if not self.said:
            print("compiling for this machine, once ...", file=sys.stderr, flush=True)
            self.said = True

    def on_end(self, event: Any) -> None:
        pass


@contextmanager
def announced() -> Iterator[None]:
    """Say so on stderr when something is compiled or timed inside the block; loading what is remembered is silent."""
    logger = logging.getLogger("lowrank_sr")
    level = logger.level
    handler = logging.StreamHandler()  # to the stderr of now, which the caller may close afterwards
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        with event.install_listener("numba:compile", _CompilationNotice()):
            yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)

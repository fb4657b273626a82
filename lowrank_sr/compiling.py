"""Tell the user once that the wait is Numba compiling, which it does on the first run only."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from numba.core import event


class _Announcer(event.Listener):
    def __init__(self):
        self.said = False

    def on_start(self, event):
        if not self.said:
            print("compiling for this machine, once ...", file=sys.stderr, flush=True)
            self.said = True

    def on_end(self, event):
        pass


@contextmanager
def announced() -> Iterator[None]:
    """Say so on stderr when something has to be compiled inside the block; loading from Numba's cache is silent."""
    with event.install_listener("numba:compile", _Announcer()):
        yield

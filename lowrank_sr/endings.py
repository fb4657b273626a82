"""However the program ends: by itself, by a signal, or by an output that nobody reads."""

import codecs
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from lowrank_sr.errors import InputError
from lowrank_sr.text import complain

NAMES = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "hung up"}  # Windows has no SIGHUP
"""The signals that end the program, and what it says then."""


class Stopped(KeyboardInterrupt):
    """A signal came that ends the program: what runs cleans up on its way out."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def status_after(interruption: KeyboardInterrupt) -> int:
    """Say what has ended the program; return 128 + the signal's number, as a shell reports it."""
    number = getattr(interruption, "number", signal.SIGINT)
    complain(str(interruption) or NAMES[signal.Signals(number).name])
    return 128 + int(number)


@contextmanager
def on_signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Call `handler` when a signal ends the block, but for those that are ignored, as after `nohup`."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        for name in NAMES:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def leave(number: int, frame: FrameType | None) -> None:
    """End the program at once: there is nothing to clean up."""
    complain(NAMES[signal.Signals(number).name])
    os._exit(128 + number)  # an exception could be lost in what is being imported, or come out as another one


def stop(number: int, frame: FrameType | None) -> None:
    """End what runs by an exception."""
    raise Stopped(number)


@contextmanager
def names_as_they_are() -> Iterator[None]:
    """Let standard output carry the bytes of file names that its encoding does not have."""
    if not isinstance(sys.stdout, io.TextIOWrapper):
        yield
        return
    stream, errors = sys.stdout, sys.stdout.errors
    codecs.register_error("lowrank-sr", _bytes_of_name)
    stream.reconfigure(errors="lowrank-sr")
    try:
        yield
    finally:
        with suppress(OSError):  # what cannot be flushed, `flush` has found
            stream.reconfigure(errors=errors)


def _bytes_of_name(error: UnicodeError) -> tuple[bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return os.fsencode(error.object[error.start : error.end]), error.end


def flush() -> None:
    """Write what standard output still holds; raises InputError where that cannot be."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        discard_output()
        raise InputError(f"standard output: cannot be written: {error.strerror}") from error


def discard_output() -> None:
    """Let Python, which flushes standard output once more at its end, find nothing to complain of."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

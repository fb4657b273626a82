"""The program `lowrank-sr`, however it ends: by itself, by a signal, or by an output that nobody reads."""

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

_ENDINGS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "hung up"}  # Windows has no SIGHUP


class _Stopped(KeyboardInterrupt):
    """A signal came that ends the program: what runs cleans up on its way out."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return 0, 2 after bad input (one sentence on stderr says which), or 128 + a signal's number.

    `arguments` are those of the command line, without the program's name; by default sys.argv's. After Ctrl-C that
    makes 130, after SIGTERM 143, and after a closed pipe 141, as a shell reports a program that a signal ended.
    """
    if sys.stderr is None:  # closed: what is written there must come neither on standard output nor into an open file
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (until the end of the process)
    try:
        with _names_as_they_are():
            try:
                with _on_signals(_leave):  # there is nothing to clean up yet, and the imports take a second
                    from lowrank_sr.commands import command_line

                    options = command_line.parse(arguments)
                with _on_signals(_stop):
                    return command_line.run(options)
            finally:
                _flush()
    except InputError as error:
        complain(error)
        return 2
    except MemoryError as error:
        complain(f"out of memory{f': {error}' if str(error) else ''}; expected more, or smaller pictures")
        return 2
    except KeyboardInterrupt as interruption:  # of which _Stopped is one
        number = getattr(interruption, "number", signal.SIGINT)
        complain(str(interruption) or _ENDINGS[signal.Signals(number).name])
        return 128 + int(number)
    except BrokenPipeError:  # the reader of our output has gone, as in `lowrank-sr info | head`
        _discard_output()
        return 141


@contextmanager
def _on_signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Call `handler` when a signal ends the block, but for those that are ignored, as after `nohup`."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        for name in _ENDINGS:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def _leave(number: int, frame: FrameType | None) -> None:
    complain(_ENDINGS[signal.Signals(number).name])
    os._exit(128 + number)  # an exception could be lost in what is being imported, or come out as another one


def _stop(number: int, frame: FrameType | None) -> None:
    raise _Stopped(number)


@contextmanager
def _names_as_they_are() -> Iterator[None]:
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
        with suppress(OSError):  # what cannot be flushed, `_flush` has found
            stream.reconfigure(errors=errors)


def _bytes_of_name(error: UnicodeError) -> tuple[bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return os.fsencode(error.object[error.start : error.end]), error.end


def _flush() -> None:
    """Write what standard output still holds; raises InputError where that cannot be."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _discard_output()
        raise InputError(f"standard output: cannot be written: {error.strerror}") from error


def _discard_output() -> None:
    """Let Python, which flushes standard output once more at its end, find nothing to complain of."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

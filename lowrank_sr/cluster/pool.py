"""Tasks on a cluster's workers: few are on their way at a time, and the results come as they are ready."""

import queue
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from itertools import count, islice
from typing import TYPE_CHECKING, Any, TypeVar

from lowrank_sr.cluster.worker import build, perform
from lowrank_sr.errors import InputError
from lowrank_sr.network.rrdbnet import RRDBNet

if TYPE_CHECKING:
    from distributed import Client, Future, KilledWorker

L = TypeVar("L")
R = TypeVar("R")

TASKS_A_WORKER = 2  # on their way: the one that is computed, and one more, so that the worker need not wait for it
PATIENCE_SECONDS = 60.0  # without any worker
_POLL_SECONDS = 1.0


class Pool:
    """The workers of a Dask scheduler, as `connection.connected` and `connection.started` open it."""

    def __init__(self, client: "Client", address: str, shared_files: bool) -> None:
        """The workers that `client` reaches; `address` is what messages call the scheduler.

        With `shared_files` the workers find the client's files under the same paths.
        """
        self.shared_files = shared_files
        self._client = client
        self._address = address
        self._workers = 0
        self._counted = self._seen = -PATIENCE_SECONDS  # when they were counted, and when there were any

    def send(self, net: RRDBNet) -> "Future":
        """Send `net` to every worker, with the methods that "auto" chooses here; tasks take the future in its place.

        A worker prepares the kernels once.
        """
        return self.share(net.with_choices())

    def share(self, value: object) -> "Future":
        """Send `value` to every worker; tasks take the future in its place, and find the same object each time.

        The scheduler keeps a copy, for workers that join later.

        Raises InputError where the scheduler is lost, no worker is left, or the value is too large for them.
        """
        from distributed import KilledWorker

        done: queue.SimpleQueue[Future] = queue.SimpleQueue()
        try:
            future = self._client.submit(_itself, value, pure=False)
            future.add_done_callback(done.put)
            error = self._wait(done).exception()
            if isinstance(error, KilledWorker):
                raise InputError(f"{self._address}: {_died(error, 'receiving what all tasks need')}") from error
            if error is not None:
                raise error
            if future.cancelled():
                raise self._lost()
            with suppress(TimeoutError, ValueError):  # the last worker has just died: a task fetches what it needs
                self._client.replicate(future, callback_timeout=PATIENCE_SECONDS)
        except (CancelledError, OSError) as lost:
            raise self._lost() from lost
        return future

    def memory_limit(self) -> int | None:
        """The least bytes of memory that one of the workers may take; None where all may take what there is."""
        limits = [worker["memory_limit"] for worker in self._info()["workers"].values()]
        return min((limit for limit in limits if limit), default=None)

    def run(
        self,
        function: Callable[..., R],
        calls: Iterable[tuple[L, tuple[object, ...]]],
        name: Callable[[L], str] = str,
        in_order: bool = False,
    ) -> Iterator[tuple[L, R | InputError]]:
        """Call `function` with the arguments of each of `calls`, (label, arguments); yield (label, result) of each.

        They come as they end, or `in_order`, that of `calls`.

        The result of a call that raises InputError is that error. A call whose worker dies is made again on another;
        if they die again and again, its result is an error that begins with `name(label)`. No more of `calls` are
        taken than keep the workers busy.

        Raises InputError where the scheduler is lost, no worker is left, or a worker is of another build.
        """
        job = f"{function.__name__.strip('_')}-{uuid.uuid4().hex}"
        numbers, calls = count(), iter(calls)
        done: queue.SimpleQueue[Future] = queue.SimpleQueue()
        pending: dict[object, tuple[L, Future]] = {}  # Dask forgets a task whose future nobody holds
        ended: dict[object, None] = {}  # keys of `pending`
        while True:
            room = TASKS_A_WORKER * max(1, self._count_workers()) - len(pending)
            for label, arguments in islice(calls, max(0, room)):
                key = (job, next(numbers))
                future = self._client.submit(perform, build(), function, *arguments, key=key)
                pending[key] = label, future
                future.add_done_callback(done.put)
            if not pending:
                return
            ended[self._wait(done).key] = None
            while (first := next(iter(pending if in_order else ended), None)) in ended:
                del ended[first]
                label, future = pending.pop(first)
                result = self._result(future, name, label)
                del future
                yield label, result

    def _wait(self, done: "queue.SimpleQueue[Future]") -> "Future":
        """The next future that is done."""
        while True:
            try:
                return done.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                if not self._count_workers() and time.monotonic() - self._seen > PATIENCE_SECONDS:
                    raise InputError(f"{self._address}: has no worker left: expected at least one") from None

    def _count_workers(self) -> int:
        """How many workers there are, to the second."""
        now = time.monotonic()
        if now - self._counted > _POLL_SECONDS:
            self._workers = len(self._info()["workers"])
            self._counted = now
            if self._workers or self._seen < 0:
                self._seen = now
        return self._workers

    def _info(self) -> dict[str, Any]:
        """What the scheduler knows of itself and its workers."""
        try:
            # What `scheduler_info` returns may be a heartbeat's answer instead, which leaves the workers out.
            info: dict[str, Any] = self._client.sync(self._client.scheduler.identity, n_workers=-1)
        except (CancelledError, OSError) as error:
            raise self._lost() from error
        return info

    def _result(self, future: "Future", name: Callable[[L], str], label: L) -> Any:
        from distributed import KilledWorker

        try:
            return future.result()
        except KilledWorker as error:
            return InputError(f"{name(label)}: {_died(error, 'computing it')}")
        except (CancelledError, OSError) as error:
            raise self._lost() from error

    def _lost(self) -> InputError:
        return InputError(f"{self._address}: the connection to the scheduler is lost: expected it to run to the end")


def _died(error: "KilledWorker", doing: str) -> str:
    times = error.allowed_failures + 1
    return f"{times} worker{'s' if times > 1 else ''} died while {doing}, probably for lack of memory"


def _itself(value: object) -> object:
    return value

"""Reach a Dask scheduler that runs, or start one with workers on this machine."""

import asyncio
import logging
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any

from lowrank_sr.cluster.pool import Pool
from lowrank_sr.cluster.worker import build
from lowrank_sr.errors import InputError
from lowrank_sr.machine.threads import VARIABLE, thread_count

if TYPE_CHECKING:
    from distributed import Client

CONNECT_SECONDS = 10
WORKER_SECONDS = 60  # until the first has joined
LOOPBACK = "127.0.0.1"


@contextmanager
def connected(address: str, shared_files: bool = False) -> Iterator[Pool]:
    """Use the workers of the scheduler at `address`, such as tcp://host:8786, inside the block.

    With `shared_files` they find this machine's files under the same paths.

    Raises InputError where Dask is missing, the scheduler cannot be reached, has no worker or one of another build.
    """
    _need_distributed()
    from distributed import Client

    with _quiet_dask(), ExitStack() as stack:
        with _answering(address):  # a Client waits for ever for a server that is no scheduler
            asyncio.run(asyncio.wait_for(_identity(address), CONNECT_SECONDS))
            client = stack.enter_context(Client(address, timeout=CONNECT_SECONDS, set_as_default=False))
            _check_workers(client, address)
            _show_dashboard(client)
        yield Pool(client, address, shared_files)


@contextmanager
def started(workers: int) -> Iterator[Pool]:
    """Start `workers` processes on this machine, which divide the threads in use now, and end them after the block.

    Raises InputError where Dask is missing, and for no workers.
    """
    if workers < 1:
        raise InputError(f"--workers {workers}: expected at least 1")
    _need_distributed()
    from distributed import Client, LocalCluster

    with _quiet_dask():
        with _interrupts_held():
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                host=LOOPBACK,
                dashboard_address=f"{LOOPBACK}:0",
                env={VARIABLE: str(max(1, thread_count() // workers))},
                silence_logs=logging.CRITICAL,
            )
        address = cluster.scheduler_address
        with cluster, ExitStack() as stack:
            with _answering(address):
                client = stack.enter_context(Client(cluster, set_as_default=False))
                _check_workers(client, address)
                _show_dashboard(client)
            yield Pool(client, address, shared_files=True)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back until the end of the block, and for ever from what is started in it, which this process ends.

    A terminal sends it to all of them, and a worker would write a traceback. Threads and processes inherit the mask.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # the first process would start it, and let Ctrl-C through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _need_distributed() -> None:
    """Raise InputError, which says how to install it, where Dask is missing."""
    try:
        import distributed  # noqa: F401
    except ImportError:
        raise InputError("several processes need Dask: pip install 'lowrank-sr[cluster]'") from None


@contextmanager
def _quiet_dask() -> Iterator[None]:
    """Leave it to this package to say what went wrong, and do not warn of tasks with a picture in them."""
    import dask
    import distributed  # noqa: F401 (which sets the levels of its loggers)

    loggers = [logging.getLogger(name) for name in logging.root.manager.loggerDict if name.startswith("distributed")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"}):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _answering(address: str) -> Iterator[None]:
    """Turn what Dask raises where the scheduler at `address` cannot be reached, or no longer, into an InputError."""
    try:
        yield
    except InputError:
        raise
    except (CancelledError, OSError, ValueError) as error:
        raise InputError(
            f"{address}: no scheduler answers: expected the address that `dask scheduler` shows"
        ) from error


async def _identity(address: str) -> dict[str, Any]:
    from distributed.core import rpc
    from distributed.security import Security

    async with rpc(address, connection_args=Security().get_connection_args("client")) as scheduler:
        try:
            identity: dict[str, Any] = await scheduler.identity(n_workers=0)
        except TypeError as error:  # Dask's, for tls:// without certificates
            raise InputError(f"{address}: no certificates for it: expected them in Dask's configuration") from error
    return identity


def _check_workers(client: "Client", address: str) -> None:
    """Raise InputError unless a worker joins soon, and all that have joined compute what this process would."""
    try:
        client.wait_for_workers(1, timeout=WORKER_SECONDS)
    except TimeoutError:
        raise InputError(
            f"{address}: has no worker: expected `dask worker {address} --nthreads 1` on a machine"
        ) from None
    for worker, theirs in client.run(build, on_error="return").items():
        if theirs != build():
            has = theirs if isinstance(theirs, str) else "no lowrank_sr that can be imported"
            raise InputError(f"{worker}: the worker has {has}: expected {build()}, as here")


def _show_dashboard(client: "Client") -> None:
    """Say on stderr where the dashboard is, if the scheduler has what draws it."""
    packages = client.get_versions(packages=["bokeh"])["scheduler"]["packages"]
    if packages["bokeh"]:
        print(f"dashboard: {client.dashboard_link}", file=sys.stderr)

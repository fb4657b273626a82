"""Reach a Dask scheduler that runs, or start one with workers on this machine."""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lowrank_sr.cluster.pool import Pool
from lowrank_sr.cluster.worker import build, check_build
from lowrank_sr.errors import InputError
from lowrank_sr.machine.threads import VARIABLE, thread_count

if TYPE_CHECKING:
    from distributed import Client

CONNECT_SECONDS = 10
WORKER_SECONDS = 30  # until the first has joined
_LOOPBACK = "127.0.0.1"


@contextmanager
def connected(address: str) -> Iterator[Pool]:
    """Use the workers of the scheduler at `address`, such as tcp://host:8786, inside the block.

    Raises InputError where Dask is missing, the scheduler cannot be reached, has no worker, or one of another build.
    """
    _need_distributed()
    from distributed import Client

    with _quiet():
        try:
            client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{address}: no scheduler answers: expected the address that `dask scheduler` prints") from error
        with client:
            yield _checked(client, address)


@contextmanager
def started(workers: int) -> Iterator[Pool]:
    """Start `workers` processes on this machine, which share the threads in use now, and end them after the block."""
    _need_distributed()
    from distributed import Client, LocalCluster

    with _quiet(), LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        host=_LOOPBACK,
        dashboard_address=f"{_LOOPBACK}:0",
        env={VARIABLE: str(max(1, thread_count() // workers))},
        silence_logs=logging.CRITICAL,
    ) as cluster, Client(cluster, set_as_default=False) as client:
        yield _checked(client, cluster.scheduler_address)

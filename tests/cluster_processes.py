"""A real scheduler and real workers on the loopback interface, which the tests end."""

import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psutil

DASK = [sys.executable, "-m", "dask"]
START_SECONDS = 300
SCHEDULER = ["scheduler", "--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0"]
WORKER = ["worker", "--nthreads", "1", "--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0"]


def environment(**variables):
    return {**os.environ, "LOWRANK_SR_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path), **variables}


def start(arguments, log, **variables):
    """A process that writes to `log`."""
    with log.open("wb") as stream:
        return subprocess.Popen(arguments, stdout=stream, stderr=subprocess.STDOUT, env=environment(**variables))


def wait_for(pattern, log, process):
    """The first match of `pattern` in what `process` writes to `log`."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        match = re.search(pattern, log.read_text(errors="replace"))
        if match:
            return match
        time.sleep(0.05)
    raise AssertionError(f"no {pattern} in {log.read_text(errors='replace')}")


@dataclass
class Cluster:
    """Processes of one scheduler; `folder` keeps what they write."""

    folder: object
    processes: list = field(default_factory=list)
    address: str = ""

    def start_scheduler(self, arguments=SCHEDULER, **variables):
        self.scheduler = self._start(arguments, "scheduler", **variables)
        self.address = wait_for(r"Scheduler at:\s+(tcp://\S+)", self.folder / "scheduler.log", self.scheduler)[1]

    def start_worker(self, arguments=WORKER, **variables):
        name = f"worker{len(self.processes)}"
        if self.address not in arguments:
            arguments = [*arguments, self.address]
        worker = self._start([*arguments, "--local-directory", str(self.folder)], name, **variables)
        wait_for("Registered to:", self.folder / f"{name}.log", worker)
        return worker

    def _start(self, arguments, name, **variables):
        process = start([*DASK, *arguments], self.folder / f"{name}.log", **variables)
        self.processes.append(process)
        return process

    def end(self):
        """Kill them, and what they have started: Dask's own way out takes seconds."""
        for process in self.processes:
            if process.poll() is None:
                watcher = psutil.Process(process.pid)
                for running in (watcher, *watcher.children(recursive=True)):
                    with suppress(psutil.NoSuchProcess):
                        running.kill()
            process.wait()


@contextmanager
def running_cluster(folder, workers, **variables):
    """A scheduler and workers; `variables` are in the scheduler's environment."""
    cluster = Cluster(folder)
    try:
        cluster.start_scheduler(**variables)
        for _ in range(workers):
            cluster.start_worker()
        yield cluster
    finally:
        cluster.end()

import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
from cluster_processes import environment, running_cluster

from lowrank_sr import cli
from lowrank_sr.commands import batch_on_cluster
from lowrank_sr.pictures.images import Image, write_image

COUNT = 40
FEW = "few"
MIDDLE = "20.png"
METHOD = ("--method", "winograd")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of small pictures; below it another, `FEW`, with alpha and grey of 16 bits too."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    (folder / FEW).mkdir()
    for i in range(COUNT - 2):
        path = folder / (FEW if i < 4 else "") / f"{i:02d}.png"
        write_image(path, Image(rng.random((32, 20 + i, 3), dtype=np.float32)))
    alpha = rng.random((20, 30), dtype=np.float32)
    write_image(folder / FEW / "alpha.png", Image(rng.random((20, 30, 3), dtype=np.float32), alpha=alpha))
    grey = np.repeat(rng.random((20, 30, 1), dtype=np.float32), 3, axis=2)
    write_image(folder / FEW / "grey.tif", Image(grey, grey=True, bits=16))
    return folder


def contents(folder):
    """The files of a folder; temporary ones, whose names begin with a dot, too."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def here(pictures, tmp_path_factory):
    """What a local run writes."""
    folder = tmp_path_factory.mktemp("here")
    assert cli.main(["upscale", str(pictures), "-o", str(folder), *METHOD]) == 0
    files = contents(folder)
    assert len(files) == COUNT
    return files


def started(pictures, output, *options):
    """The command in a process of its own."""
    arguments = [sys.executable, "-m", "lowrank_sr", "upscale", str(pictures), "-o", str(output), *METHOD, *options]
    return subprocess.Popen(arguments, env=environment(), stderr=subprocess.PIPE, text=True)


def patched(monkeypatch, act):
    """Let workers call `act` before the picture in the middle of the batch, once, and then go on as they would."""
    for real in (batch_on_cluster._run_there, batch_on_cluster._run_and_return):

        def task(net, job, source, real=real):
            if job.source.name == MIDDLE:
                act()
            return real(net, job, source)

        monkeypatch.setattr(batch_on_cluster, real.__name__, task)


@pytest.mark.parametrize("options", [[], ["--shared-files"]])
def test_the_files_are_those_of_here(cluster, pictures, here, tmp_path, options):
    arguments = ["upscale", str(pictures / FEW), "-o", str(tmp_path / FEW), *METHOD]
    assert cli.main([*arguments, "--cluster", cluster.address, *options]) == 0
    assert contents(tmp_path) == {name: content for name, content in here.items() if name.startswith(FEW)}


def test_large_pictures_are_computed_tile_by_tile(cluster, pictures, here, tmp_path, monkeypatch):
    monkeypatch.setattr(batch_on_cluster, "LARGE", 0)  # as if there were no memory for any of them
    arguments = ["upscale", str(pictures / FEW), "-o", str(tmp_path / FEW), *METHOD]
    assert cli.main([*arguments, "--cluster", cluster.address]) == 0
    assert contents(tmp_path) == {name: content for name, content in here.items() if name.startswith(FEW)}


@pytest.mark.parametrize("options", [[], ["--shared-files"]])
def test_a_picture_that_cannot_be_enlarged_affects_only_itself(cluster, pictures, here, tmp_path, options, capsys):
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "a.png").write_bytes((pictures / FEW / "00.png").read_bytes())
    (folder / "b.png").write_bytes((pictures / FEW / "01.png").read_bytes()[:900])
    arguments = ["upscale", str(folder), "-o", str(tmp_path / "there"), *METHOD]
    assert cli.main([*arguments, "--cluster", cluster.address, *options]) == 2
    there = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("dashboard: ")]
    assert cli.main([*arguments, "--existing", "skip"]) == 2
    here_too = capsys.readouterr().err.replace("0 of 2 pictures enlarged, 1 skipped", "1 of 2 pictures enlarged")
    assert there == here_too.splitlines()
    assert str(folder / "b.png") in there[0]
    assert contents(tmp_path / "there") == {"a_x4.png": here[f"{FEW}/00_x4.png"]}


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--shared-files"]])
def test_a_worker_is_killed(pictures, here, tmp_path, options, monkeypatch):
    marker = tmp_path / "killed"

    def die_once():
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    patched(monkeypatch, die_once)
    (tmp_path / "dask").mkdir()
    output = tmp_path / "there"
    with running_cluster(tmp_path / "dask", 2) as cluster:
        arguments = ["upscale", str(pictures), "-o", str(output), *METHOD, "--cluster", cluster.address, *options]
        assert cli.main(arguments) == 0
    assert marker.exists()
    files = contents(output)
    assert {name: content for name, content in files.items() if not name.startswith(".")} == here


def write_and_die(net, job, source):
    """What a worker does with a task, and, the first time, its death before it can say so."""
    first = not job.target.exists()
    result = run_there(net, job, source)
    if first:
        os.kill(os.getpid(), signal.SIGKILL)
    return result


run_there = batch_on_cluster._run_there


@pytest.mark.slow
def test_a_worker_dies_after_it_has_written(pictures, here, tmp_path, monkeypatch):
    monkeypatch.setattr(batch_on_cluster, "_run_there", write_and_die)
    (tmp_path / "dask").mkdir()
    with running_cluster(tmp_path / "dask", 1) as cluster:
        arguments = ["upscale", str(pictures / "07.png"), "-o", str(tmp_path / "there") + os.sep, *METHOD]
        assert cli.main([*arguments, "--cluster", cluster.address, "--shared-files"]) == 0
    assert contents(tmp_path / "there") == {"07_x4.png": here["07_x4.png"]}


@pytest.mark.parametrize("options", [[], ["--shared-files"]])
@pytest.mark.parametrize(("existing", "status"), [("skip", 0), ("fail", 2)])
def test_a_file_that_another_process_writes_meanwhile(
    cluster, pictures, tmp_path, monkeypatch, options, existing, status
):
    target = tmp_path / "07_x4.png"
    real = batch_on_cluster._execute
    monkeypatch.setattr(batch_on_cluster, "_execute", lambda *a: target.write_bytes(b"theirs") and real(*a))
    arguments = ["upscale", str(pictures / "07.png"), "-o", str(tmp_path), *METHOD, "--existing", existing]
    assert cli.main([*arguments, "--cluster", cluster.address, *options]) == status
    assert target.read_bytes() == b"theirs"


@pytest.mark.slow
def test_the_scheduler_is_killed_and_another_carries_on(pictures, here, tmp_path, monkeypatch, capsys):
    (tmp_path / "dask").mkdir()
    output = tmp_path / "there"
    arguments = ["upscale", str(pictures), "-o", str(output), *METHOD, "--cluster"]
    with running_cluster(tmp_path / "dask", 2) as cluster, monkeypatch.context() as patch:
        scheduler = cluster.scheduler.pid
        patched(patch, lambda: os.kill(scheduler, signal.SIGKILL))
        assert cli.main([*arguments, cluster.address]) == 2
    assert f"lowrank-sr: {cluster.address}: the connection to the scheduler is lost" in capsys.readouterr().err
    done = contents(output)
    assert 1 <= len(done) < COUNT
    assert done.items() <= here.items()

    with running_cluster(tmp_path / "dask", 2) as cluster:
        assert cli.main([*arguments, cluster.address, "--existing", "skip"]) == 0
    assert f"{len(done)} skipped" in capsys.readouterr().err
    assert contents(output) == here


@pytest.mark.slow
def test_in_processes_of_this_machine(pictures, here, tmp_path):
    client = started(pictures, tmp_path / "there", "--workers", "2")
    _, errors = client.communicate(timeout=300)
    assert client.returncode == 0, errors
    assert contents(tmp_path / "there") == here


BLOCKED = """
import sys, time
from pathlib import Path
from lowrank_sr import cli
from lowrank_sr.commands import batch_on_cluster

marker = Path(sys.argv.pop(1))

def _run_there(net, job, source):
    marker.touch()
    time.sleep(3600)

if __name__ == "__main__":
    batch_on_cluster._run_there = _run_there
    sys.exit(cli.main())
"""


@pytest.mark.slow
def test_an_interrupt_ends_the_processes(pictures, tmp_path):
    """While both compute, as long as it takes."""
    marker = tmp_path / "computes"
    arguments = ["upscale", str(pictures), "-o", str(tmp_path / "there"), *METHOD, "--workers", "2"]
    client = subprocess.Popen(
        [sys.executable, "-c", BLOCKED, str(marker), *arguments], env=environment(), stderr=subprocess.PIPE, text=True
    )
    while not marker.exists():
        assert client.poll() is None
        time.sleep(0.05)
    processes = psutil.Process(client.pid).children(recursive=True)
    assert len(processes) >= 2
    for process in (psutil.Process(client.pid), *processes):  # as a terminal sends it
        process.send_signal(signal.SIGINT)
    _, errors = client.communicate(timeout=300)
    assert client.returncode == 130
    assert errors.splitlines()[-1] == "lowrank-sr: interrupted"
    assert "Traceback" not in errors
    _, alive = psutil.wait_procs(processes, timeout=60)
    assert alive == []

"""The commands of the how-to page on several machines, on the loopback interface and at a free port."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cluster_processes import Cluster, environment

from lowrank_sr.pictures.images import Image, read_image, write_image

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "machines.md"


def commands(address):
    """The words of each command, `address` and one thread in place of what the page has."""
    lines = re.search(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1].splitlines()
    for line in lines:
        words = shlex.split(line.replace("tcp://10.0.0.1:8786", address).replace("_THREADS=8", "_THREADS=1"))
        yield [word.replace("10.0.0.1", "127.0.0.1") for word in words]


@pytest.mark.slow
def test_the_commands_of_the_page(tmp_path):
    (tmp_path / "holiday").mkdir()
    write_image(tmp_path / "holiday" / "beach.png", Image(np.zeros((8, 10, 3), np.float32)))
    cluster = Cluster(tmp_path)
    try:
        (dask, *scheduler), *_ = commands("")
        assert dask == "dask"
        cluster.start_scheduler([*scheduler, "--port", "0", "--dashboard-address", "127.0.0.1:0"])
        _, (variable, dask, *worker), *others = commands(cluster.address)
        assert dask == "dask"
        cluster.start_worker(worker, **dict([variable.split("=")]))
        outputs = {}
        for program, *arguments in others:
            assert program == "lowrank-sr"
            done = subprocess.run(
                [sys.executable, "-m", "lowrank_sr", *arguments],
                env=environment(),
                cwd=tmp_path,
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stderr
            outputs[arguments[0]] = done.stdout
        assert "26.89" in outputs["evaluate"]  # dB, as docs/results.md has it
        assert outputs["upscale"].split() == [str(Path("larger") / "beach_x4.png")]
        assert read_image(tmp_path / "larger" / "beach_x4.png").pixels.shape == (32, 40, 3)
    finally:
        cluster.end()

"""A convolution method is one file and one line: shown on a copy of the package, to which FFT convolution is added."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from imageio.v3 import imwrite

import lowrank_sr
from lowrank_sr.conv.algorithms import METHODS

LINE = "from lowrank_sr.conv.fft import ALGORITHM as _FFT\n"
BEFORE = "from lowrank_sr.conv.im2col import"

SAYS = """
import json, sys
import numpy as np
import lowrank_sr as lsr
from lowrank_sr.conv.algorithms import multiplications
from lowrank_sr.conv.methods import convolve
from lowrank_sr.layers import random_layer
from lowrank_sr.network.footprint import call_bytes
from lowrank_sr.study.technique import BY_NAME

rng = np.random.default_rng(0)
layer, x = random_layer((5, 7, 3)), rng.random((13, 10, 7), dtype=np.float32)
net, image = lsr.load("psnr-small", "fft"), rng.random((9, 14, 3), dtype=np.float32)
needs = {method: call_bytes(net.with_method(method), 64, 64, 1) for method in ("fft", "direct")}
print(json.dumps({
    "layer": float(np.abs(convolve(x, layer, "fft") - convolve(x, layer, "direct")).max()),
    "network": float(np.abs(net(image) - net.with_method("direct")(image)).max()),
    "needs": needs,
    "multiplications": multiplications(layer, "fft"),
    "label": BY_NAME["fft"].label,
}))
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Runs a command in a folder with the copy of the package."""
    folder = tmp_path_factory.mktemp("copy")
    package = Path(lowrank_sr.__file__).parent
    shutil.copytree(package, folder / "lowrank_sr", ignore=shutil.ignore_patterns("__pycache__", "data"))
    data = package / "data" if (package / "data").is_dir() else package.parent / "data"
    shutil.copytree(data, folder / "data", ignore=shutil.ignore_patterns("realesrgan-x4plus*.npz"))
    shutil.copy(Path(__file__).with_name("fft_algorithm.py"), folder / "lowrank_sr" / "conv" / "fft.py")
    table = folder / "lowrank_sr" / "conv" / "algorithms.py"
    text = table.read_text(encoding="utf-8")
    assert text.count(BEFORE) == 1
    table.write_text(text.replace(BEFORE, LINE + BEFORE), encoding="utf-8")
    cache = {"NUMBA_CACHE_DIR": str(folder / "numba"), "XDG_CACHE_HOME": str(folder / "cache")}

    def command(*arguments, status=0):
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(folder)} | cache,
            capture_output=True,
            text=True,
        )
        assert done.returncode == status, done.stderr
        return done

    return command


@pytest.mark.slow
def test_the_package_computes_and_counts_by_it(run):
    said = json.loads(run("-c", SAYS).stdout)
    assert said["layer"] < 1e-5
    assert said["network"] < 1e-5
    assert said["needs"]["fft"] > said["needs"]["direct"]
    assert said["multiplications"] == 9 * 5 * 7
    assert said["label"] == "fft"


@pytest.mark.slow
def test_the_commands_know_it(run, tmp_path):
    picture = tmp_path / "picture.png"
    imwrite(picture, np.random.default_rng(0).integers(0, 256, (12, 10, 3), np.uint8))
    program = "-m", "lowrank_sr"
    for method in ("fft", "direct"):
        output = tmp_path / f"{method}.png"
        run(*program, "upscale", str(picture), "--weights", "psnr-small", "--method", method, "-o", str(output))
        assert output.stat().st_size > 0
    assert "fft" in run(*program, "upscale", "--help").stdout
    wrong = run(*program, "upscale", str(picture), "--method", "guess", "-o", str(tmp_path / "x.png"), status=2)
    assert "fft" in wrong.stderr
    report = tmp_path / "info.json"
    run(*program, "info", "psnr-small", "--json", str(report))  # auto: all are timed
    layers = json.loads(report.read_text(encoding="utf-8"))["layers"]
    assert set(layers[0]["gflops"]) == {"fft", *METHODS}

"""Damaged files of every format are read or refused: nothing else comes out, and no decoder ends the process."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "mutations.py"


def run(count, seed):
    done = subprocess.run(
        [sys.executable, SCRIPT, str(count), str(seed)], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.mark.slow
def test_two_hundred():
    run(200, 1)


@pytest.mark.slow
def test_five_thousand():
    run(5000, 0)

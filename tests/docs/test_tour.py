"""The tour: its chapters in their order, and the solutions of its exercises."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from cluster_processes import environment

TOUR = Path(__file__).parents[2] / "docs" / "tour"
CHAPTERS = [
    "01_direct.py",
    "02_im2col.py",
    "03_kn2row.py",
    "04_micro_kernel_and_roofline.py",
    "05_winograd.py",
    "06_network.py",
    "07_tail_in_bands.py",
    "08_svd.py",
    "09_cp_als.py",
    "10_condition_numbers.py",
    "11_fitting.py",
    "12_ranks.py",
    "13_svd_winograd.py",
    "14_finetuning.py",
    "15_poster_claims.py",
    "16_psnr_and_ssim.py",
]
SOLUTIONS = sorted((TOUR / "solutions").glob("*.py"))


def test_the_chapters_are_there_in_order():
    assert sorted(file.name for file in TOUR.glob("*.py")) == CHAPTERS


def test_every_chapter_shows_its_two_solutions():
    chapters = sorted(TOUR.glob("*.py"))
    solutions = [f"{chapter.stem}_{letter}.py" for chapter in chapters for letter in "ab"]
    assert [file.name for file in SOLUTIONS] == solutions
    for chapter in chapters:
        shown = re.findall(r"literalinclude:: /tour/solutions/(\S+)", chapter.read_text(encoding="utf-8"))
        assert shown == [f"{chapter.stem}_a.py", f"{chapter.stem}_b.py"]


@pytest.mark.slow
@pytest.mark.parametrize("solution", SOLUTIONS, ids=lambda file: file.stem)
def test_a_solution_runs(solution, tmp_path):
    """By itself, in an empty folder, without a screen."""
    assert "assert" in solution.read_text(encoding="utf-8")
    done = subprocess.run(
        [sys.executable, solution], cwd=tmp_path, env=environment(MPLBACKEND="agg"), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr

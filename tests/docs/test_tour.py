"""The tour: its chapters in their order, and the solutions of its exercises."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from cluster_processes import environment

TOUR = Path(__file__).parents[2] / "docs" / "tour"
CHAPTERS = (
    "direct im2col kn2row tile_and_roofline winograd network tail_in_bands svd cp_als condition_numbers fitting ranks"
    " svd_winograd finetuning poster_claims psnr_and_ssim"
).split()
SOLUTIONS = sorted((TOUR / "solutions").glob("*.py"))


def test_the_chapters_are_there_in_order():
    expected = [f"{number:02}_{name}.py" for number, name in enumerate(CHAPTERS, start=1)]
    assert sorted(file.name for file in TOUR.glob("*.py")) == expected


def test_every_chapter_shows_its_two_solutions():
    chapters = sorted(TOUR.glob("*.py"))
    for chapter in chapters:
        shown = re.findall(r"literalinclude:: /tour/solutions/(\S+)", chapter.read_text(encoding="utf-8"))
        assert shown == [f"{chapter.stem}_a.py", f"{chapter.stem}_b.py"]
    assert [file.name for file in SOLUTIONS] == [f"{chapter.stem}_{letter}.py" for chapter in chapters for letter in "ab"]


@pytest.mark.slow
@pytest.mark.parametrize("solution", SOLUTIONS, ids=lambda file: file.stem)
def test_a_solution_runs(solution, tmp_path):
    """By itself, in an empty folder, without a screen."""
    assert "assert" in solution.read_text(encoding="utf-8")
    done = subprocess.run(
        [sys.executable, solution], cwd=tmp_path, env=environment(MPLBACKEND="agg"), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr

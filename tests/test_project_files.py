"""What the files at the top of the repository say of the package is true."""

import re
from pathlib import Path

import pytest

import lowrank_sr as lsr
from lowrank_sr.pictures.images import images_in, read_image
from lowrank_sr.resources import CALIBRATION, IMAGES

ROOT = Path(__file__).parents[1]
MADE = re.compile("NAME|NN_|_build|auto_tour|generated")  # a placeholder, or what the build of the book makes


def test_the_version_is_the_same_everywhere():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.*)$", citation, re.MULTILINE)[1] == lsr.__version__
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## \[(.*?)\]", changelog, re.MULTILINE)[1] == lsr.__version__


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "README.md"])
def test_the_files_that_a_page_names_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    paths = set(re.findall(r"(?<![/\w.])(?:lowrank_sr|tests|benchmarks|data|docs)/[\w./]*", text))
    paths = {path.rstrip(".") for path in paths}
    assert len(paths) > 3
    assert [path for path in sorted(paths) if not (ROOT / path).exists() and not MADE.search(path)] == []


def test_each_bundled_picture_is_in_the_table_with_its_size():
    """And what the table promises: sides for any scale, no picture twice, and few megabytes."""
    rows = re.findall(r"^\| `(\w+/[\w.]+)` \| (\d+) x (\d+) \|", (ROOT / "data" / "README.md").read_text("utf-8"), re.M)
    sizes = {path: (int(width), int(height)) for path, width, height in rows}
    pictures = {
        f"{path.parent.name}/{path.name}": read_image(path).pixels
        for path in (*images_in(IMAGES), *images_in(CALIBRATION))
    }
    assert sizes == {name: pixels.shape[1::-1] for name, pixels in pictures.items()}
    assert all(side % 4 == 0 for size in sizes.values() for side in size)
    assert len({pixels.tobytes() for pixels in pictures.values()}) == len(pictures)
    assert sum(path.stat().st_size for path in CALIBRATION.iterdir()) < 5e6

"""What the files at the top of the repository say of the package is true."""

import re
from pathlib import Path

import pytest

import lowrank_sr as lsr

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

"""The how-to pages: each `sh` and `python` block of a page runs, from its top to its bottom, in a reader's folder."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [*sorted((DOCS / "howto").glob("*.md")), DOCS / "reference" / "names.md", DOCS / "reference" / "formats.md"]
ELSEWHERE = {"index.md", "machines.md"}  # nothing to run, and tests/cluster/test_howto_machines.py
FINDS = {"finetune.md": ["lowrank-sr compress net.npz -o small.npz --speedup 2 --no-calibration"]}  # as it says on top


def blocks(page):
    """The language and the text of each block of code."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def run(language, text, folder):
    command = ["sh", "-euc", text] if language == "sh" else [sys.executable, "-c", text]
    # a pytest on a page is not one of xdist's workers, though this one may be
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(command, cwd=folder, env=alone, capture_output=True, text=True)
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("sh") is None, reason="the pages' commands are for a POSIX shell, and there is none")
@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in ELSEWHERE], ids=lambda page: page.stem)
def test_a_page_does_what_it_says(page, reader):
    pytest.importorskip("pytest_benchmark")
    for command in FINDS.get(page.name, []):
        run("sh", command, reader)
    found = blocks(page)
    assert found
    for language, text in found:
        assert language in {"sh", "python", "text"}
        if language != "text":
            run(language, text, reader)


def test_every_page_is_in_the_table_of_contents():
    index = (DOCS / "howto" / "index.md").read_text(encoding="utf-8")
    contents = re.search(r"```\{toctree\}\n:maxdepth: 1\n\n(.*?)```", index, re.DOTALL)[1].split()
    assert sorted([*contents, "index"]) == sorted(page.stem for page in (DOCS / "howto").glob("*.md"))


def test_the_front_page_has_the_commands_of_the_readme():
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    commands = [line for line in readme.splitlines() if line.startswith("python3 -m venv")]
    front = (DOCS / "index.md").read_text(encoding="utf-8").splitlines()
    assert len(commands) == 2
    assert set(commands) <= set(front)

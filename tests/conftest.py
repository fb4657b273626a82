import atexit
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import pytest

# Compiled code stays in a folder of its own, a new one for every change of what is compiled into more than one file:
# Numba would notice a change only in the file of the function that it compiles.
_sources = b"".join(path.read_bytes() for path in sorted((Path(__file__).parents[1] / "lowrank_sr/conv").glob("*.py")))
_cache = Path(tempfile.gettempdir()) / f"lowrank-sr-tests-{os.getuid()}-{hashlib.sha256(_sources).hexdigest()[:16]}"
os.environ.setdefault("NUMBA_CACHE_DIR", str(_cache))

# The timings that `auto` remembers stay out of the user's cache folder.
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="lowrank-sr-tests-")
atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)

IN_CI = os.environ.get("CI") == "true"


@pytest.fixture(scope="session")
def shared():
    """The folder of benchmark images and weights that lies beside the repository where there is one."""
    folder = Path(__file__).parents[2] / "shared"
    if not (folder / "data" / "Set5").is_dir():
        pytest.skip("the benchmark images are not here: ../shared/data is missing")
    return folder


def pytest_sessionfinish(session, exitstatus):
    """In CI a test that is skipped has failed: nothing there may go untested in silence."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if IN_CI and exitstatus == 0 and reporter is not None and reporter.stats.get("skipped"):
        reporter.write_line("skipped tests are failures in CI", red=True)
        session.exitstatus = 1

import atexit
import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

# Most maps here are too small to share; what runs on several threads is tested by tests/machine/test_threads.py.
os.environ.setdefault("LOWRANK_SR_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# The timings that `auto` remembers stay out of the user's cache folder.
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="lowrank-sr-tests-")
os.environ["XDG_STATE_HOME"] = os.environ["XDG_CACHE_HOME"]
atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)


def _ignore(number, frame):
    """As a signal that is ignored, but the processes that this one starts do not inherit it."""


# After nohup and in a shell's background job signals are ignored, also by commands that tests start in order to end
# them by just these: a process begins with what its parent ignores, but not with its handlers.
for _name in ("SIGINT", "SIGTERM", "SIGHUP"):
    _number = getattr(signal, _name, None)  # Windows has no SIGHUP
    if _number is not None and signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _ignore)

SLOW_FIXTURES = {"cluster", "report", "written"}  # real processes, a whole study, every figure: seconds each
IN_CI = os.environ.get("CI") == "true"


def pytest_collection_modifyitems(items):
    for item in items:
        if SLOW_FIXTURES.intersection(item.fixturenames):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session", autouse=True)
def quick_timings():
    """`auto` may choose any method here, and measures on maps of a sixteenth of the size, for no longer than it must.

    psnr-small's shapes would take four seconds in every process of the tests, the smallest ones as many.
    """
    from lowrank_sr.conv import timing

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timing, "SIDE", 24)
        patch.setattr(timing, "SECONDS", 0)
        yield


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

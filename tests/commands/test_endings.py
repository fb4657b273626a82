"""How the program ends: by signals, in its first second too, by a full or missing output, by a kill."""

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import lowrank_sr as lsr
from lowrank_sr import temporary, text
from lowrank_sr.files import replacing
from lowrank_sr.pictures.images import Image, write_image

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and devices as POSIX has them")

COMMAND = [sys.executable, "-m", "lowrank_sr"]


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "a.png"
    write_image(path, Image(np.zeros((5, 6, 3), np.float32)))
    return path


@pytest.fixture
def tiny(tmp_path):
    (tmp_path / "weights").mkdir()
    path = tmp_path / "weights" / "tiny.npz"
    lsr.RRDBNet.random(num_feat=8, num_block=1, num_grow_ch=4).save(path)
    return path


def upscale(sources, tiny, *arguments):
    sources = sources if isinstance(sources, list) else [sources]
    return [*COMMAND, "upscale", *map(str, sources), "--weights", str(tiny), "--method", "direct", *arguments]


def wait_for_stdin(folder, run):
    """Until the command `run` has begun to read standard input, into a file below `folder`."""
    while not list(folder.rglob("stdin")):
        assert run.poll() is None
        time.sleep(0.05)


ENDINGS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "hung up"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ENDINGS)
def test_signals_clean_up(tmp_path, name):
    large = tmp_path / "b.png"
    write_image(large, Image(np.zeros((800, 800, 3), np.float32)))
    command = [*COMMAND, "upscale", "-", "--weights", "psnr-small", "--method", "direct"]
    environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary")}
    (tmp_path / "temporary").mkdir()
    with (
        large.open("rb") as given,
        subprocess.Popen(command, env=environment, stdin=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run,
    ):
        wait_for_stdin(tmp_path / "temporary", run)
        time.sleep(0.5)  # that it computes; the picture takes many times as long, and before it the signal ends it too
        number = getattr(signal, name)
        run.send_signal(number)
        out, err = run.communicate(timeout=300)
    assert (run.returncode, out) == (128 + number, b"")
    assert err.decode().splitlines()[-1] == f"lowrank-sr: {ENDINGS[name]}"
    assert b"Traceback" not in err
    assert not list((tmp_path / "temporary").iterdir())


INTERRUPTED_BEFORE = """
import signal, sys
from lowrank_sr.cli import main

class Finder:
    def find_spec(name, path=None, target=None):
        if name == module:
            signal.raise_signal(signal.SIGINT)

module = sys.argv.pop(1)
assert module not in sys.modules
sys.meta_path.insert(0, Finder)
sys.exit(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "module", ["lowrank_sr.commands", "numpy", "numba", "lowrank_sr.commands.upscale", "lowrank_sr.pictures.by_pillow"]
)
def test_ctrl_c_in_the_first_second(source, tiny, module):
    """Just before that module is imported; the last of them is when the command runs."""
    command = [sys.executable, "-c", INTERRUPTED_BEFORE, module, *upscale(source, tiny)[len(COMMAND) :]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "lowrank-sr: interrupted\n")


@pytest.mark.slow
def test_ignored_signals_stay_ignored(tmp_path, source, tiny):
    command = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *upscale("-", tiny)]
    environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary")}
    (tmp_path / "temporary").mkdir()
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, env=environment, **pipes) as run:
        wait_for_stdin(tmp_path / "temporary", run)  # whose end it waits for in turn
        run.send_signal(signal.SIGHUP)
        out, _ = run.communicate(source.read_bytes())
    assert run.returncode == 0
    assert out.startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
@pytest.mark.parametrize(
    "arguments",
    [["info", "--method", "direct"], ["--help"], ["upscale"], ["upscale", "-o", "-"], ["info", "--json"]],
    ids=" ".join,
)
def test_a_full_disk_behind_an_output(source, tiny, arguments):
    match arguments:
        case ["upscale", *rest]:
            command = upscale(source, tiny, *rest)
        case ["info", "--json"]:
            command = [*COMMAND, "info", str(tiny), "--method", "direct", "--json", "/dev/full"]
        case _:
            command = [*COMMAND, *arguments]
    with open("/dev/full", "w") as full:
        output = subprocess.PIPE if "--json" in arguments else full
        # argparse says nothing of a help text that it could not write; buffered, the text is ours to write
        environment = {**os.environ, "PYTHONUNBUFFERED": ""}
        done = subprocess.run(command, env=environment, stdout=output, stderr=subprocess.PIPE, text=True, check=False)
    subject = "/dev/full" if "--json" in arguments else "standard output"
    assert (done.returncode, done.stderr) == (2, f"lowrank-sr: {subject}: cannot be written: No space left on device\n")


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_full_disk_behind_standard_error():
    with open("/dev/full", "w") as full:
        assert subprocess.run([*COMMAND, "info", "none.npz"], stderr=full, check=False).returncode == 2


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_names_that_standard_output_cannot_encode(tmp_path, source, tiny, encoding):
    paths = [os.fsencode(tmp_path) + b"/" + os.fsencode(name) for name in ("größer.png", b"\xff\xfe.png")]
    for path in paths:
        shutil.copy(source, path)
    done = subprocess.run(
        [os.fsencode(word) for word in upscale([os.fsdecode(path) for path in paths], tiny)],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    enlarged = [path.replace(b".png", b"_x4.png") for path in paths]
    assert done.stdout.splitlines() == enlarged
    assert all(map(os.path.exists, enlarged))


def closed(redirection, command, **options):
    """What becomes of a command one of whose standard streams is closed."""
    command = ["sh", "-c", f'exec "$@" {redirection}', "sh", *command]
    return subprocess.run(command, capture_output=True, check=False, **options)


@pytest.mark.slow
def test_closed_standard_input_and_output(source, tiny):
    done = closed("<&-", upscale("-", tiny))
    expected = b"lowrank-sr: standard input: is closed; expected a picture\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, b"", expected)
    with source.open("rb") as picture:
        done = closed(">&-", upscale("-", tiny), stdin=picture)
    expected = b"lowrank-sr: standard output: is closed; expected a pipe or a file for the picture\n"
    assert (done.returncode, done.stderr) == (2, expected)


COMPILING = """
import sys
import numba
from lowrank_sr.cli import main
from lowrank_sr.commands import upscale

run_job = upscale.run_job

def compile_and_run(*arguments):
    assert numba.njit(lambda x: x)(1) == 1  # in the place of the kernels, which take the compiler ten seconds
    return run_job(*arguments)

upscale.run_job = compile_and_run
sys.exit(main())
"""


@pytest.mark.slow
def test_closed_standard_error(source, tiny):
    """What would be said there comes nowhere else, neither that it compiles, nor what is wrong."""
    command = [sys.executable, "-c", COMPILING, *upscale("-", tiny)[len(COMMAND) :]]
    said = subprocess.run(command, input=source.read_bytes(), capture_output=True, check=True).stderr
    assert said.startswith(b"compiling for this machine, once ...\n")  # where it is not closed
    with source.open("rb") as picture:
        done = closed("2>&-", command, stdin=picture)
    assert done.returncode == 0
    assert done.stdout.startswith(b"\x89PNG")
    done = closed("2>&-", [*COMMAND, "info", "none.npz"])
    assert (done.returncode, done.stdout) == (2, b"")


def test_a_program_without_standard_error(monkeypatch, capsys):
    """As pythonw starts one."""
    monkeypatch.setattr("sys.stderr", None)
    with text.progress(1, "work", "step") as bar:
        bar.update()
    text.complain("nowhere")
    assert capsys.readouterr().out == ""


def test_a_closed_pipe(tiny):
    run = subprocess.Popen(
        [*COMMAND, "info", str(tiny), "--method", "direct"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    run.stdout.close()
    assert (run.wait(60), run.stderr.read()) == (141, b"")
    run.stderr.close()


HOLD = """
import sys, time
from lowrank_sr.files import replacing
with replacing(sys.argv[1]) as temporary:
    temporary.write_bytes(b"half")
    print(temporary, flush=True)
    time.sleep(60)
"""


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path):
    target = tmp_path / "a.png"
    command = [sys.executable, "-c", HOLD, str(target)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as killed,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as working,
    ):
        left, held = (run.stdout.readline().strip() for run in (killed, working))
        killed.kill()
        killed.wait()
        assert sorted(os.listdir(tmp_path)) == sorted(map(os.path.basename, (left, held)))
        temporary.remove_abandoned.cache_clear()
        with replacing(target) as mine:
            mine.write_bytes(b"whole")
        assert sorted(os.listdir(tmp_path)) == sorted(["a.png", os.path.basename(held)])
        working.send_signal(signal.SIGKILL)
    assert target.read_bytes() == b"whole"

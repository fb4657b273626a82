import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import lowrank_sr as lsr
from lowrank_sr import cli
from lowrank_sr.cli import main
from lowrank_sr.pictures.images import Image, read_image, write_image
from lowrank_sr.resources import NETWORKS

COMMAND = [sys.executable, "-m", "lowrank_sr"]


def picture(path, height=6, width=5, **rest):
    pixels = np.random.default_rng(0).random((height, width, 3), dtype=np.float32)
    write_image(path, Image(pixels, **rest))
    return path


@pytest.fixture
def tiny(tmp_path):
    """A weights file that takes no time."""
    path = tmp_path / "weights" / "tiny.npz"
    path.parent.mkdir()
    lsr.RRDBNet.random(num_feat=8, num_block=1, num_grow_ch=4).save(path)
    return str(path)


def only_sentence(capsys):
    """The one line on stderr, which begins with the program's name."""
    lines = capsys.readouterr().err.strip().splitlines()
    lines = [line for line in lines if not line.startswith(("compiling", "timing"))]
    assert len(lines) == 1, lines
    assert lines[0].startswith("lowrank-sr: ")
    return lines[0]


def leftovers(folder):
    return sorted(path.name for path in Path(folder).iterdir())


@pytest.mark.slow  # times the methods for every layer's shape
def test_upscale_beside_the_input(tmp_path, capsys):
    source = picture(tmp_path / "photo.png")
    assert main(["upscale", str(source)]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'photo_x4.png'}\n"
    expected = lsr.load()(read_image(source).pixels)
    got = read_image(tmp_path / "photo_x4.png").pixels
    np.testing.assert_allclose(got, expected.clip(0, 1), atol=0.5 / 255 + 1e-6)


@pytest.mark.slow
def test_upscale_folders_files_and_outputs(tmp_path, tiny):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    picture(pictures / "a.png")
    picture(pictures / "b.jpg")
    assert main(["upscale", str(pictures), "--weights", tiny]) == 0
    assert main(["upscale", str(pictures), "--weights", tiny, "--existing", "skip"]) == 0
    assert leftovers(pictures) == ["a.png", "a_x4.png", "b.jpg", "b_x4.png"]
    assert main(["upscale", str(pictures / "a.png"), "-o", str(tmp_path / "new" / "c.tif"), "--weights", tiny]) == 0
    both = [str(pictures / "a.png"), str(pictures / "b.jpg")]
    assert main(["upscale", *both, "-o", str(tmp_path / "out"), "--weights", tiny]) == 0
    assert leftovers(tmp_path / "new") == ["c.tif"]
    assert leftovers(tmp_path / "out") == ["a_x4.png", "b_x4.png"]


def test_upscale_keeps_what_the_file_was(tmp_path, tiny):
    alpha = np.linspace(0, 1, 30, dtype=np.float32).reshape(6, 5)
    grey = np.repeat(alpha[:, :, None], 3, axis=2)
    write_image(tmp_path / "grey.png", Image(grey, grey=True, bits=16))
    picture(tmp_path / "alpha.png", alpha=alpha, icc=None)
    both = [str(tmp_path / "grey.png"), str(tmp_path / "alpha.png")]
    assert main(["upscale", *both, "--weights", "psnr-small", "--method", "winograd"]) == 0
    larger = read_image(tmp_path / "grey_x4.png")
    assert (larger.grey, larger.bits, larger.alpha) == (True, 16, None)
    larger = read_image(tmp_path / "alpha_x4.png")
    assert larger.alpha.shape == (24, 20)
    # the network was trained to reproduce smooth ramps: enlarged alpha stays near the ramp it came from
    np.testing.assert_allclose(larger.alpha[2::4, 2::4], alpha, atol=0.1)


def test_upscale_carries_on_and_counts(tmp_path, tiny, capsys):
    picture(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("text")
    picture(tmp_path / "c.png")
    assert main(["upscale", *(str(tmp_path / f"{name}.png") for name in "abc"), "--weights", tiny]) == 2
    said = capsys.readouterr()
    assert said.out.splitlines() == [str(tmp_path / "a_x4.png"), str(tmp_path / "c_x4.png")]
    bad, summary = (line for line in said.err.splitlines() if not line.startswith(("compiling", "timing")))
    assert str(tmp_path / "b.png") in bad
    assert summary == "lowrank-sr: 2 of 3 pictures enlarged, 1 failed"


@pytest.mark.parametrize("content", ["text", "truncated", "empty"])
def test_bad_pictures(tmp_path, tiny, capsys, content):
    bad, whole = tmp_path / "bad.png", picture(tmp_path / "good.png", 40, 40).read_bytes()
    bad.write_bytes({"text": b"this is a text", "truncated": whole[: len(whole) // 2], "empty": b""}[content])
    assert main(["upscale", str(bad), "--weights", tiny]) == 2
    assert str(bad) in only_sentence(capsys)
    assert leftovers(tmp_path) == ["bad.png", "good.png", "weights"]


def test_bad_arguments(tmp_path, tiny, capsys):
    source = str(picture(tmp_path / "a.png"))
    empty = tmp_path / "empty"
    empty.mkdir()
    upscale = ["upscale", "--weights", tiny]
    for arguments, words in [
        ([*upscale, str(empty)], "has no image"),
        ([*upscale, str(tmp_path / "none.png")], "none.png"),
        ([*upscale, source, "-o", source], "would be overwritten"),
        ([*upscale, source, str(tmp_path / "c.png"), "-o", str(tmp_path / "b.png")], "one file for 2 pictures"),
        ([*upscale, source, "-o", str(Path(source) / "x")], "cannot be made a folder"),
        ([*upscale, source, "-o", "x.jxl"], "no image format has this suffix; expected .png"),
        ([*upscale, source, "-o", "x.png", "--format", "jpg"], "expected the suffix of --format jpg"),
        ([*upscale, source, "-o", tiny], "no image format has this suffix"),
        ([*upscale, source, "--suffix", "a/b"], "--suffix a/b"),
        ([*upscale, source, "--outscale", "0"], "--outscale 0.0: expected 0.01 to 100"),
        ([*upscale, source, "--outscale", "nan"], "--outscale nan"),
        ([*upscale, source, "--json", str(tmp_path / "no" / "r.json")], "r.json: cannot be written"),
        ([*upscale, source, "--method", "fft"], "--method 'fft': expected one of"),
        ([*upscale, source, "--threads", "0"], "expected a number of threads"),
        (["upscale", source, "--weights", str(tmp_path / "none.npz")], "no such file"),
        (["info", str(tmp_path / "none.npz")], "no such file"),
        (["info", "--method", "direct", "--json", str(tmp_path / "no" / "folder.json")], "cannot be written"),
        (["evaluate", "--data", str(empty)], "has no image"),
    ]:
        assert main(arguments) == 2
        assert words in only_sentence(capsys)
    assert leftovers(tmp_path) == ["a.png", "empty", "weights"]


def test_bad_weights(tmp_path, capsys):
    source = str(picture(tmp_path / "a.png"))
    bad = tmp_path / "bad.npz"
    for content, words in ((b"", "is empty"), (b"text", "not a weights file")):
        bad.write_bytes(content)
        assert main(["upscale", source, "--weights", str(bad)]) == 2
        assert f"{bad}: {words}" in only_sentence(capsys)


def test_no_command_is_a_usage_error():
    with pytest.raises(SystemExit) as caught:
        main([])
    assert caught.value.code == 2


def test_info(tmp_path, tiny, capsys):
    assert main(["info", "psnr-small", "--method", "direct"]) == 0
    said = capsys.readouterr().out
    assert "2,309,507 parameters" in said
    assert "RRDB_trunk.2.RDB3.conv5" in said
    assert main(["info", tiny, "--json", str(tmp_path / "info.json")]) == 0
    described = json.loads((tmp_path / "info.json").read_text())
    net = lsr.load(tiny)
    assert described["parameters"] == net.parameters
    assert described["flops_per_pixel"] * 77 == net.flops(7, 11)
    assert [layer["name"] for layer in described["layers"]] == list(net.layers)


def test_info_lists_the_bundled_networks(tmp_path, capsys):
    assert main(["info", "--json", str(tmp_path / "info.json")]) == 0
    said = capsys.readouterr().out
    for name, description in NETWORKS.items():
        assert f"{name}: {description}" in said
    assert "16,697,987" in said
    listed = json.loads((tmp_path / "info.json").read_text())
    assert [entry["network"] for entry in listed] == list(NETWORKS)
    assert [entry["num_block"] for entry in listed] == [23, 23, 6, 3]


def test_evaluate_json(tmp_path, tiny, capsys):
    folder = tmp_path / "pictures"
    folder.mkdir()
    picture(folder / "a.png", 48, 52)
    output = tmp_path / "e.json"
    assert main(["evaluate", tiny, "--data", str(folder), "--method", "im2col", "--json", str(output)]) == 0
    rows = json.loads(output.read_text())
    assert [(row["image"], row["network"], row["method"]) for row in rows] == [
        ("a", "bicubic", None),
        ("a", "tiny.npz", "im2col"),
        ("mean", "bicubic", None),
        ("mean", "tiny.npz", "im2col"),
    ]
    keys = {"image", "network", "method", "psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb", "niqe", "seconds"}
    assert all(set(row) == keys for row in rows)
    capsys.readouterr()
    reference = ["--reference", "psnr-small", "--json", str(output)]
    assert main(["evaluate", tiny, "psnr-small", "--data", str(folder), "--method", "im2col", *reference]) == 0
    rows = json.loads(output.read_text())
    assert all(set(row) == keys | {"fidelity", "fidelity_ssim"} for row in rows)
    assert [row["fidelity"] is None for row in rows] == [False, False, True] * 2
    assert "fidelity (dB)" in capsys.readouterr().out


@pytest.mark.slow
def test_first_run_says_that_it_compiles_and_no_other_size_does(tmp_path, tiny):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    said = []
    for height, width in [(6, 5), (1, 1), (30, 17)]:
        source = picture(tmp_path / f"{height}.png", height, width)
        run = subprocess.run(
            [*COMMAND, "upscale", str(source), "--weights", tiny],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert run.returncode == 0, run.stderr
        said.append(run.stderr)
    assert said[0].splitlines()[0] == "timing the methods on this machine, once ..."
    assert said[0].splitlines()[1:] == ["compiling for this machine, once ..."]
    assert said[1:] == ["", ""]


def test_import_compiles_nothing_and_loads_no_framework():
    code = (
        "import sys\n"
        "from numba.core import event\n"
        "with event.install_recorder('numba:compile') as recorded:\n"
        "    import lowrank_sr\n"
        "assert not recorded.buffer, recorded.buffer\n"
        "print(*{'torch', 'scipy.linalg', 'imageio', 'PIL', 'skimage'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "\n"), run.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT as POSIX has it")
def test_interrupt_leaves_no_partial_file(tmp_path):
    small, large = picture(tmp_path / "a.png"), picture(tmp_path / "b.png", 800, 800)
    command = [*COMMAND, "upscale", str(small), str(large), "--weights", "psnr-small", "--method", "direct"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout.readline() == f"{tmp_path / 'a_x4.png'}\n"  # from now on it is at the large one
        time.sleep(0.5)
        run.send_signal(signal.SIGINT)
        _, said = run.communicate(timeout=300)
    assert run.returncode == 130
    assert said.splitlines()[-1] == "lowrank-sr: interrupted"
    assert "Traceback" not in said
    assert leftovers(tmp_path) == ["a.png", "a_x4.png", "b.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="writes to a device file as POSIX has it")
def test_numbers_may_go_to_a_device(tiny):
    assert main(["info", tiny, "--method", "direct", "--json", os.devnull]) == 0
    assert not Path(os.devnull).is_file()


def test_networks_of_one_file_name_are_told_apart(tmp_path, tiny):
    other = tmp_path / "other" / Path(tiny).name
    other.parent.mkdir()
    shutil.copy(tiny, other)
    folder = tmp_path / "pictures"
    folder.mkdir()
    picture(folder / "a.png", 48, 48)
    assert main(["evaluate", tiny, str(other), "--data", str(folder), "--json", str(tmp_path / "e.json")]) == 0
    rows = json.loads((tmp_path / "e.json").read_text())
    assert [row["network"] for row in rows if row["image"] == "mean"] == ["bicubic", tiny, str(other)]


@pytest.fixture(params=["full", "read-only"])
def unwritable(request, tmp_path):
    """A file system that is full, or read-only."""
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    folder = tmp_path / request.param
    folder.mkdir()
    options = "size=4k" if request.param == "full" else "size=1m"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True).returncode:
        pytest.skip("this system does not let tests mount a file system")
    if request.param == "read-only":
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.skipif(sys.platform == "win32", reason="mounts a file system as POSIX systems do")
def test_output_that_cannot_be_written(tmp_path, tiny, unwritable, capsys):
    source = str(picture(tmp_path / "a.png", 50, 50))
    assert main(["upscale", source, "-o", str(unwritable / "out.png"), "--weights", tiny]) == 2
    assert f"{unwritable / 'out.png'}: cannot be written" in only_sentence(capsys)
    assert main(["info", "psnr-small", "--method", "direct", "--json", str(unwritable / "info.json")]) == 2
    assert f"{unwritable / 'info.json'}: cannot be written" in only_sentence(capsys)
    assert leftovers(unwritable) == []


def test_outputs_are_checked_before_the_work(tmp_path, tiny, capsys, monkeypatch):
    from lowrank_sr.commands import compress, evaluate, finetune, info

    def work(*arguments, **options):
        raise AssertionError("the work has begun")

    monkeypatch.setattr(compress, "compress", work)
    monkeypatch.setattr(evaluate, "load_network", work)
    monkeypatch.setattr(finetune, "load", work)
    monkeypatch.setattr(info, "load_network", work)
    (tmp_path / "dir.npz").mkdir()
    (tmp_path / "ro").mkdir()
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path / "ro" and allowed(path, mode))
    nowhere = str(tmp_path / "no" / "x.json")
    to_file = ["compress", tiny, "--rank", "2", "-o"]
    for arguments, words in [
        ([*to_file, str(tmp_path / "ro" / "s.npz")], "s.npz: cannot be written: Permission denied"),
        ([*to_file, str(tmp_path / "dir.npz")], "dir.npz: cannot be written: Is a directory"),
        ([*to_file, str(tmp_path / "s.npz"), "--json", nowhere], "x.json: cannot be written: No such file"),
        (["evaluate", "--json", nowhere], "x.json: cannot be written"),
        (["info", "--json", nowhere], "x.json: cannot be written"),
        (["finetune", tiny, "-o", "s.npz", "--photos", ".", "--steps", "1", "--json", nowhere], "x.json: cannot be"),
    ]:
        assert main(arguments) == 2
        assert words in only_sentence(capsys)


def test_too_little_memory_is_a_sentence(capsys, monkeypatch):
    def run(options):
        raise MemoryError("Unable to allocate 3.0 GiB")

    monkeypatch.setattr(cli, "_run", run)
    assert main(["evaluate"]) == 2
    assert only_sentence(capsys) == (
        "lowrank-sr: out of memory: Unable to allocate 3.0 GiB; expected more, or smaller pictures"
    )


IMPORTED = """
import sys
from lowrank_sr.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print(*sys.modules, file=sys.stderr)
"""


@pytest.mark.parametrize("command", [None, *cli.COMMANDS])
def test_only_the_command_that_is_asked_for_is_imported(command):
    arguments = ["--help"] if command is None else [command, "--help"]
    command_line = [sys.executable, "-c", IMPORTED, *arguments]
    modules = subprocess.run(command_line, capture_output=True, text=True, check=True).stderr.split()
    expected = {None: set(), "compress": {"compress", "finetune"}}.get(command, {command})  # which compress can do, too
    imported = {name for name in cli.COMMANDS if f"lowrank_sr.commands.{name}" in modules}
    assert imported == expected
    assert ("numba" in modules) == (command is not None)


def test_every_command_of_the_table_has_a_module():
    whole = cli.parser()
    (commands,) = (each.choices for each in whole._actions if isinstance(each, argparse._SubParsersAction))
    assert list(commands) == list(cli.COMMANDS)
    assert all(parser.get_default("command") for parser in commands.values())

"""Batches: what is planned, what a bad picture costs, and what carries on where."""

import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import platformdirs
import pytest

import lowrank_sr as lsr
from lowrank_sr.cli import main
from lowrank_sr.commands import batch
from lowrank_sr.commands import upscale as command
from lowrank_sr.commands import upscale_file as module
from lowrank_sr.commands.batch import FileOptions, plan_batch
from lowrank_sr.commands.naming import Naming, naming
from lowrank_sr.pictures.images import Image, read_image, write_image

COMMAND = [sys.executable, "-m", "lowrank_sr", "upscale", "--method", "direct"]
FAIL = FileOptions("fail")


def picture(path, height=6, width=5, **rest):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, Image(np.random.default_rng(0).random((height, width, 3), np.float32), **rest))
    return path


def animation(path, frames=3):
    levels = [PIL.Image.new("RGB", (5, 6), (80 * level,) * 3) for level in range(frames)]
    levels[0].save(path, save_all=True, append_images=levels[1:], duration=100)
    return path


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.npz"
    lsr.RRDBNet.random(num_feat=8, num_block=1, num_grow_ch=4).save(path)
    return str(path)


@pytest.fixture
def upscale(tiny):
    return lambda *arguments: main(["upscale", *map(str, arguments), "--weights", tiny, "--method", "direct"])


def said(capsys):
    return [line for line in capsys.readouterr().err.splitlines() if not line.startswith(("compiling", "timing"))]


@pytest.fixture
def streams(monkeypatch):
    """A function that makes bytes this process's standard input, and returns what takes its standard output."""

    def replace(content):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO()))
        return sys.stdout.buffer

    return replace


# Folders


def test_folders_keep_their_tree(tmp_path, upscale):
    for name in ("in/a.png", "in/one/b.png", "in/one/two/c.tif", "in/.hidden/d.png"):
        picture(tmp_path / name)
    assert upscale(tmp_path / "in", "-o", tmp_path / "out") == 0
    assert files(tmp_path / "out") == ["a_x4.png", "one/b_x4.png", "one/two/c_x4.png"]
    assert upscale(tmp_path / "in") == 0  # beside each picture
    assert "one/two/c_x4.png" in files(tmp_path / "in")


def test_results_below_the_pictures_are_not_enlarged_again(tmp_path, upscale):
    picture(tmp_path / "in" / "a.png")
    for _ in range(2):
        assert upscale(tmp_path / "in", "-o", tmp_path / "in" / "larger", "--existing", "overwrite") == 0
        assert upscale(tmp_path / "in", "-o", tmp_path / "in" / "larger", "--existing", "skip") == 0
    assert files(tmp_path / "in") == ["a.png", "larger/a_x4.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need a privilege there")
def test_symbolic_links_that_lead_back(tmp_path, upscale, capsys):
    picture(tmp_path / "in" / "sub" / "a.png")
    (tmp_path / "in" / "sub" / "up").symlink_to("..")
    (tmp_path / "in" / "self").symlink_to("self")
    (tmp_path / "in" / "self.png").symlink_to("self.png")
    assert upscale(tmp_path / "in", "-o", tmp_path / "out") == 2
    assert files(tmp_path / "out") == ["sub/a_x4.png"]
    bad, summary = said(capsys)
    assert bad.startswith(f"lowrank-sr: {tmp_path / 'in' / 'self.png'}: cannot be read: Too many levels")
    assert summary == "lowrank-sr: 1 of 2 pictures enlarged, 1 failed"
    source = tmp_path / "in" / "sub" / "a.png"
    assert upscale(source, "-o", tmp_path / "in" / "self.png") == 2
    assert "self.png: cannot be written: Too many levels" in said(capsys)[-1]
    assert upscale(tmp_path / "in" / "self") == 2
    assert "self: cannot be read: Too many levels" in said(capsys)[-1]


# What a file costs


def test_what_a_format_cannot_keep_is_said_before_the_first_picture(tmp_path, upscale, capsys, monkeypatch):
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png", alpha=np.full((6, 5), 0.5, np.float32))
    picture(tmp_path / "c.png", 1, 4096)
    monkeypatch.setattr(module, "upscale_file", lambda *arguments, **options: before.extend(said(capsys)))
    before = []
    assert upscale(tmp_path, "-o", tmp_path / "jpg", "--format", "jpg") == 2
    (sentence,) = before
    assert sentence.endswith("b_x4.jpg: .jpg cannot keep transparency; expected .png, .tif, .tiff or .webp")
    said(capsys)
    before.clear()
    assert upscale(tmp_path, "-o", tmp_path / "webp", "--format", "webp") == 2
    (sentence,) = before
    assert "c_x4.webp: cannot be written: 16384 x 4 pixels, and .webp has at most 16383 a side" in sentence


def test_a_collision_costs_one_picture(tmp_path, upscale, capsys):
    picture(tmp_path / "a.jpg")
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png")
    assert upscale(tmp_path, "-o", tmp_path / "out") == 2
    assert files(tmp_path / "out") == ["a_x4.png", "b_x4.png"]
    target = tmp_path / "out" / "a_x4.png"
    assert said(capsys)[0] == (
        f"lowrank-sr: {tmp_path / 'a.png'}: would become {target}, as {tmp_path / 'a.jpg'} does:"
        " expected pictures of different names"
    )


def test_outputs_never_replace_inputs(tmp_path, upscale, capsys):
    first, second = picture(tmp_path / "x.png"), picture(tmp_path / "b" / "x_x4.png")
    before = second.read_bytes()
    assert upscale(first, second, "-o", tmp_path / "b", "--existing", "overwrite") == 2
    assert f"{first}: its enlargement would overwrite {second}" in said(capsys)[0]
    assert second.read_bytes() == before
    assert files(tmp_path / "b") == ["x_x4.png", "x_x4_x4.png"]
    assert upscale(first, "--suffix", "", "--existing", "overwrite") == 2
    assert "would be overwritten by its own enlargement" in said(capsys)[0]


def test_everything_known_is_said_before_the_first_picture(tmp_path, upscale, capsys, monkeypatch):
    good, text = picture(tmp_path / "good.png"), tmp_path / "text.png"
    text.write_text("text")
    (tmp_path / "file").touch()
    lines = []
    monkeypatch.setattr(command, "run_job", lambda *_: lines.extend(said(capsys)) or pytest.skip())
    with pytest.raises(pytest.skip.Exception):
        upscale(good, text, tmp_path / "none.png", tmp_path)
    left_out, *unread = lines[:3]
    assert left_out == f"lowrank-sr: {tmp_path}: 1 file is left out, by their suffix no pictures: no suffix"
    assert [line.partition(": cannot be read: ")[0] for line in unread] == [
        f"lowrank-sr: {text}",
        f"lowrank-sr: {tmp_path / 'none.png'}",
    ]


def test_a_folder_without_permission(tmp_path, upscale, capsys, monkeypatch):
    picture(tmp_path / "a.png")
    (tmp_path / "out").mkdir()
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path / "out" and allowed(path, mode))  # even root
    assert upscale(tmp_path / "a.png", "-o", tmp_path / "out" / "new") == 2
    assert "no permission" in said(capsys)[0]


def refusing_below(folder, function):
    def refused(path, *arguments, **options):
        if str(path).startswith(f"{folder}{os.sep}"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return function(path, *arguments, **options)

    return refused


@pytest.fixture
def locked(tmp_path, monkeypatch):
    """A folder that may not be searched, by root neither, with locked/sub/a.png."""
    folder = tmp_path / "locked"
    picture(folder / "sub" / "a.png")
    folder.chmod(0)
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != folder and allowed(path, mode))
    for name in ("stat", "lstat"):
        monkeypatch.setattr(os, name, refusing_below(folder, getattr(os, name)))
    yield folder
    folder.chmod(0o700)


def test_a_picture_that_is_skipped_is_not_opened(tmp_path, monkeypatch):
    picture(tmp_path / "a.png")
    picture(tmp_path / "a_x4.png")
    monkeypatch.setattr(batch, "PictureFile", lambda *_: pytest.fail("opened"))
    plan = plan_batch([tmp_path / "a.png"], Naming("_x4", ".png"), FileOptions("skip"))
    assert [outcome.status for outcome in plan.decided] == ["skipped"]


@pytest.mark.skipif(sys.platform == "win32", reason="permissions as POSIX has them")
def test_a_folder_that_may_not_be_searched(tmp_path, upscale, tiny, capsys, locked):
    good = picture(tmp_path / "good.png")
    assert upscale(locked / "sub" / "a.png", good) == 2
    assert f"{locked / 'sub' / 'a.png'}: cannot be read: Permission denied" in said(capsys)[0]
    assert (tmp_path / "good_x4.png").exists()
    assert upscale(good, "-o", locked / "sub" / "out.png") == 2
    assert "out.png: cannot be written: " in said(capsys)[0]
    assert upscale(good, "-o", locked / "sub") == 2
    assert "good_x4.png: cannot be written: " in said(capsys)[0]
    assert main(["compress", tiny, "-o", str(locked / "sub" / "x.npz"), "--rank", "2"]) == 2
    assert "x.npz: cannot be written: Permission denied" in said(capsys)[0]


@pytest.mark.skipif(sys.platform == "win32", reason="other lengths")
def test_names_that_are_too_long(tmp_path, upscale, capsys):
    good, long = picture(tmp_path / "good.png"), picture(tmp_path / f"{'a' * 250}.png")
    assert upscale(long, tmp_path / ("b" * 300), good) == 2
    first, second, summary = said(capsys)
    assert first.endswith(f"{'a' * 250}_x4.png: cannot be written: File name too long")
    assert f"{'b' * 300}: cannot be read: File name too long" in second
    assert summary == "lowrank-sr: 1 of 3 pictures enlarged, 2 failed"
    for output in ("c" * 300, f"{'c' * 300}.png", f"{'c' * 300}/d.png"):
        assert upscale(good, "-o", tmp_path / output) == 2
        assert "cannot be written: " in said(capsys)[0]


def test_a_bad_page_costs_itself_alone(tmp_path, upscale, capsys):
    import tifffile

    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for dtype in (np.uint8, np.float32, np.uint8):
            file.write(np.zeros((6, 5, 3), dtype), photometric="rgb")
    report = tmp_path / "r.json"
    assert upscale(tmp_path / "a.tif", "--frames", "-o", tmp_path / "out", "--json", report) == 2
    assert files(tmp_path / "out") == ["a_x4_1.png", "a_x4_3.png"]
    bad, summary = said(capsys)
    assert bad.startswith(f"lowrank-sr: {tmp_path / 'a.tif'}, frame 2: cannot be read: ")
    assert summary == "lowrank-sr: 2 of 3 pictures enlarged, 1 failed"
    (failed,) = (row for row in json.loads(report.read_text()) if row["status"] == "failed")
    assert (failed["frame"], Path(failed["target"]).name) == (1, "a_x4_2.png")


def test_a_picture_given_twice_is_enlarged_once(tmp_path, upscale, capsys, monkeypatch):
    picture(tmp_path / "d" / "t.png")
    monkeypatch.chdir(tmp_path / "d")
    for inputs in (["t.png", "t.png"], ["t.png", "./t.png"], ["t.png", "."], [".", tmp_path / "d" / "t.png"]):
        assert upscale(*inputs, "-o", tmp_path / "out", "--existing", "overwrite") == 0
        assert capsys.readouterr().out.splitlines() == [str(tmp_path / "out" / "t_x4.png")]


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need a privilege there")
def test_a_link_of_another_name_is_a_picture_of_its_own(tmp_path, upscale):
    picture(tmp_path / "d" / "t.png")
    (tmp_path / "d" / "u.png").symlink_to("t.png")
    assert upscale(tmp_path / "d", "-o", tmp_path / "out") == 0
    assert files(tmp_path / "out") == ["t_x4.png", "u_x4.png"]


def test_an_empty_name_is_not_the_current_folder(tmp_path, upscale, capsys, monkeypatch):
    source = picture(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    assert upscale("") == 2
    assert said(capsys) == ["lowrank-sr: an empty name: expected a picture or a folder of pictures"]
    assert upscale(source, "-o", "") == 2
    assert said(capsys) == ["lowrank-sr: -o: an empty name: expected a file or a folder"]
    for arguments in (["evaluate", "--data", ""], ["info", ""], ["upscale", "a.png", "--json", ""]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
        assert "an empty name: expected a file or a folder" in capsys.readouterr().err
    assert files(tmp_path) == ["a.png"]


# Files that exist


def test_what_exists_fails_is_skipped_or_overwritten(tmp_path, upscale, capsys):
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png")
    target = tmp_path / "out" / "a_x4.png"
    target.parent.mkdir()
    target.write_bytes(b"mine")
    assert upscale(tmp_path / "a.png", tmp_path / "b.png", "-o", tmp_path / "out") == 2
    assert target.read_bytes() == b"mine"
    assert said(capsys) == [
        f"lowrank-sr: {target}: exists; --existing keep leaves such files, --existing overwrite replaces them",
        "lowrank-sr: 1 of 2 pictures enlarged, 1 failed",
    ]
    assert upscale(tmp_path / "a.png", tmp_path / "b.png", "-o", tmp_path / "out", "--existing", "skip") == 0
    assert target.read_bytes() == b"mine"
    assert said(capsys) == ["lowrank-sr: 0 of 2 pictures enlarged, 2 skipped"]
    assert upscale(tmp_path / "a.png", "-o", tmp_path / "out", "--existing", "overwrite") == 0
    assert read_image(target).pixels.shape == (24, 20, 3)


def test_one_file_that_o_names_is_overwritten(tmp_path, upscale):
    """As `cp`, ImageMagick and a second run of the README's command would."""
    source, target = picture(tmp_path / "a.png"), tmp_path / "larger.png"
    assert upscale(source, "-o", target) == 0
    first = target.stat().st_mtime_ns
    assert upscale(source, "-o", target) == 0
    assert target.stat().st_mtime_ns > first
    assert upscale(source, "-o", target, "--existing", "fail") == 2
    assert upscale(source, "-o", target, "--existing", "skip") == 0


def test_a_file_that_another_process_has_written_meanwhile(tmp_path, tiny):
    picture(tmp_path / "a.png")
    plan = plan_batch([tmp_path / "a.png"], Naming("_x4", ".png"), FileOptions("skip"))
    (tmp_path / "a_x4.png").write_bytes(b"theirs")
    outcomes = []
    command.run_batch(lsr.load(tiny, "direct"), plan, outcomes)
    (outcome,) = outcomes
    assert outcome.status == "skipped"
    assert (tmp_path / "a_x4.png").read_bytes() == b"theirs"


# Names and sizes


@pytest.mark.parametrize("extension", ["jpg", "tif", "webp", "bmp", "jpeg", "tiff", "png"])
def test_format_and_suffix(tmp_path, upscale, extension):
    picture(tmp_path / "a.png")
    assert upscale(tmp_path / "a.png", "--format", extension, "--suffix", "_big") == 0
    assert read_image(tmp_path / f"a_big.{extension}").pixels.shape == (24, 20, 3)


def test_folders_by_a_slash_or_without_a_suffix(tmp_path):
    (tmp_path / "is.png").mkdir()
    assert naming(str(tmp_path / "is.png"), "", None).folder == tmp_path / "is.png"
    assert naming(f"{tmp_path}/new.2024/", "", None).folder == tmp_path / "new.2024"
    assert naming(f"{tmp_path}/new", "", None).folder == tmp_path / "new"
    assert naming(f"{tmp_path}/a.TIF", "", ".tiff").file == tmp_path / "a.TIF"


@pytest.mark.parametrize(("outscale", "size"), [("2", (20, 14)), ("4", (40, 28)), ("1.1", (11, 8)), ("5.5", (55, 39))])
def test_outscale(tmp_path, upscale, tiny, outscale, size):
    source = picture(tmp_path / "a.png", 10, 7, alpha=np.full((10, 7), 0.5, np.float32))
    assert upscale(source, "--outscale", outscale) == 0
    result = read_image(tmp_path / f"a_x{outscale}.png")
    assert result.pixels.shape == (*size, 3)
    enlarged = np.rint(lsr.load(tiny, "direct")(read_image(source).pixels).clip(0, 1) * 255) / 255
    expected = lsr.imresize(enlarged, float(outscale) / 4)[: size[0], : size[1]].clip(0, 1)
    np.testing.assert_allclose(result.pixels, expected, atol=1.01 / 255)  # a value at an edge may round either way
    assert np.mean(np.abs(result.pixels - expected) > 0.5 / 255 + 1e-6) < 0.01
    assert result.alpha.shape == size


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".tif", ".avif"])
def test_frames(tmp_path, upscale, capsys, suffix):
    source = animation(tmp_path / f"a{suffix}")
    assert upscale(source) == 0
    assert said(capsys) == [f"lowrank-sr: {source}: the first of 3 frames; --frames enlarges all"]
    assert upscale(source, "--frames", "-o", tmp_path / "out") == 0
    assert files(tmp_path / "out") == ["a_x4_1.png", "a_x4_2.png", "a_x4_3.png"]
    levels = [read_image(source, frame).pixels.mean() * 255 for frame in range(3)]
    np.testing.assert_allclose(levels, [0, 80, 160], atol=3)  # AVIF is lossy


def test_16_bit_pages(tmp_path):
    import tifffile

    pages = np.random.default_rng(0).integers(0, 65536, (3, 5, 6, 3), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="rgb")
    plan = plan_batch([tmp_path / "a.tif"], Naming("", ".png", folder=tmp_path / "out"), FAIL, every_frame=True)
    assert [job.frame for job in plan.jobs] == [0, 1, 2]
    for job in plan.jobs:
        got = np.rint(read_image(job.source, job.frame).pixels * 65535)
        np.testing.assert_array_equal(got, pages[job.frame])


# Reports and streams


def test_json_and_quiet(tmp_path, upscale, capsys):
    picture(tmp_path / "a.png")
    picture(tmp_path / "c.png")
    (tmp_path / "b.png").write_text("text")
    picture(tmp_path / "c_x4.png")
    report = tmp_path / "r.json"
    names = [tmp_path / f"{name}.png" for name in "abc"]
    assert upscale(*names, "--existing", "skip", "--quiet", "--json", report) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert [line for line in err.splitlines() if "b.png" not in line and "compiling" not in line] == []
    rows = {Path(row["source"]).name: row for row in json.loads(report.read_text())}
    assert {name: row["status"] for name, row in rows.items()} == {
        "a.png": "enlarged",
        "b.png": "failed",
        "c.png": "skipped",
    }
    assert rows["a.png"]["target"] == str(tmp_path / "a_x4.png")
    assert rows["a.png"]["seconds"] > 0
    assert "cannot be read" in rows["b.png"]["message"]


def test_the_report_is_written_after_ctrl_c(tmp_path, upscale, monkeypatch):
    names = [picture(tmp_path / f"{name}.png") for name in "ab"]
    run_job = command.run_job

    def interrupted(net, job, progress):
        if job.source == names[1]:
            raise KeyboardInterrupt
        return run_job(net, job, progress)

    monkeypatch.setattr(command, "run_job", interrupted)
    assert upscale(*names, "--json", tmp_path / "r.json") == 130
    (row,) = json.loads((tmp_path / "r.json").read_text())
    assert (row["source"], row["status"]) == (str(names[0]), "enlarged")


def test_the_report_replaces_no_picture(tmp_path, upscale, capsys):
    source = picture(tmp_path / "a.png")
    for arguments in (["--json", source], ["-o", tmp_path / "q.png", "--json", tmp_path / "q.png"]):
        assert upscale(source, *arguments) == 2
        (sentence,) = said(capsys)
        assert sentence == f"lowrank-sr: --json {arguments[-1]}: is a picture of this batch: expected another file"
    assert files(tmp_path) == ["a.png"]
    assert read_image(source).pixels.shape == (6, 5, 3)


def test_the_report_names_streams(tmp_path, upscale, streams):
    streams(picture(tmp_path / "a.png").read_bytes())
    assert upscale("-", "--json", tmp_path / "r.json") == 0
    (row,) = json.loads((tmp_path / "r.json").read_text())
    assert (row["source"], row["target"]) == ("stdin", "stdout")


@pytest.mark.slow
def test_standard_input_and_output(tmp_path, tiny):
    source = picture(tmp_path / "a.png")
    subprocess.run([*COMMAND, str(source), "--weights", tiny], capture_output=True, check=True)  # which may compile
    with source.open("rb") as given:
        done = subprocess.run([*COMMAND, "-", "--weights", tiny], stdin=given, capture_output=True, check=True)
    assert done.stderr == b""
    assert done.stdout == (tmp_path / "a_x4.png").read_bytes()
    done = subprocess.run([*COMMAND, "-", "--weights", tiny], input=b"text", capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"lowrank-sr: stdin: cannot be read: its content is not an image")


@pytest.mark.parametrize("arguments", [["-"], ["-", "-o", "-"], ["a.png", "-o", "-"], ["-", "--format", "tif"]])
def test_pictures_go_to_standard_output(tmp_path, upscale, streams, capsys, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    output = streams(picture(tmp_path / "a.png").read_bytes())
    assert upscale(*arguments) == 0
    assert said(capsys) == []
    (tmp_path / "out").write_bytes(output.getvalue())
    assert read_image(tmp_path / "out").pixels.shape == (24, 20, 3)
    assert output.getvalue()[:4] == (b"II*\0" if "tif" in arguments else b"\x89PNG")


def test_standard_input_goes_to_a_folder(tmp_path, upscale, streams):
    streams(picture(tmp_path / "a.png").read_bytes())
    assert upscale("-", "-o", tmp_path / "folder") == 0
    assert files(tmp_path / "folder") == ["stdin_x4.png"]


def test_several_pictures_do_not_fit_into_standard_output(tmp_path, upscale, capsys):
    gif = animation(tmp_path / "a.gif")
    assert upscale(gif, "-o", "-", "--frames") == 2
    assert upscale(gif, picture(tmp_path / "b.png"), "-o", "-") == 2
    assert upscale(gif, "-") == 2
    first, second, third = said(capsys)
    assert "standard output: only one picture" in first
    assert "one file for 2 pictures" in second
    assert "standard input: expected as the only picture" in third


def test_the_plan_is_plain_data(tmp_path):
    import pickle

    picture(tmp_path / "a.png")
    plan = plan_batch([tmp_path], Naming("_x2", ".jpg", folder=tmp_path / "out"), FileOptions("fail", 2.0))
    assert pickle.loads(pickle.dumps(plan)) == plan
    (job,) = plan.jobs
    assert (job.source, job.target, job.height, job.width) == (tmp_path / "a.png", tmp_path / "out" / "a_x2.jpg", 6, 5)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "tif"])
def test_exif_resolution_and_profile_are_copied(tmp_path, upscale, kind, extension):
    exif = PIL.Image.Exif()
    exif[0x0110], exif[0x0112], exif[0x8298] = "a camera", 6, "somebody"
    exif.get_ifd(0x8769).update({0xA002: 20, 0xA003: 10, 0x829A: 0.01, 0x9003: "2024:05:06 07:08:09"})
    source = tmp_path / f"a.{kind}"
    PIL.Image.new("RGB", (20, 10), "teal").save(source, exif=exif, dpi=(300, 300), icc_profile=b"a profile")
    assert upscale(source, "--format", extension, "-o", tmp_path / "out") == 0
    with PIL.Image.open(tmp_path / "out" / f"a_x4.{extension}") as larger:
        larger.load()
        got = larger.getexif()
        assert larger.size == (40, 80)  # turned upright
        assert (got[0x0110], got[0x8298], got.get(0x0112, 1)) == ("a camera", "somebody", 1)
        assert larger.info["icc_profile"] == b"a profile"
        if "webp" not in (kind, extension):
            assert larger.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        if "tif" not in (kind, extension):  # Pillow writes none into a TIFF, nor do we
            inner = got.get_ifd(0x8769)
            assert (inner[0xA002], inner[0xA003], inner[0x9003]) == (40, 80, "2024:05:06 07:08:09")


@pytest.mark.parametrize("kind", ["jpg", "png", "webp"])
@pytest.mark.parametrize("exif", [b"II*\0\xff\xff\xff\xff" + bytes(20), b"garbage", b"II*\0"])
def test_damaged_metadata_costs_nothing(tmp_path, upscale, kind, exif):
    PIL.Image.new("RGB", (8, 8)).save(tmp_path / f"a.{kind}", exif=b"Exif\0\0" + exif)
    assert upscale(tmp_path / f"a.{kind}") == 0


def test_what_is_left_out_of_a_folder_is_counted(tmp_path, upscale, capsys):
    written = {"a.png": "PNG", "b.jfif": "JPEG", "c.JPE": "JPEG"}
    (tmp_path / "in" / "below").mkdir(parents=True)
    for name, form in written.items():
        PIL.Image.new("RGB", (5, 6)).save(tmp_path / "in" / name, form)
    for name in ("d.txt", "e.mp4", "below/f.txt", "g", "h.pdf", ".hidden"):
        (tmp_path / "in" / name).write_bytes(b"")
    assert upscale(tmp_path / "in", "-o", tmp_path / "out") == 0
    assert files(tmp_path / "out") == ["a_x4.png", "b_x4.png", "c_x4.png"]
    sentence = (
        f"lowrank-sr: {tmp_path / 'in'}: 5 files are left out, by their suffix no pictures: .mp4, .pdf, .txt, ..."
    )
    assert said(capsys) == [sentence]


def test_how_a_picture_is_read_is_said_once(tmp_path, upscale, capsys):
    for name in ("a.jpg", "b.jpg"):
        PIL.Image.new("CMYK", (5, 6)).save(tmp_path / name)
    assert upscale(tmp_path) == 0
    assert said(capsys) == [
        f"lowrank-sr: {tmp_path / 'a.jpg'}: CMYK without a profile that can be used: "
        "its colours are by the plain formula"
    ]


def test_quality(tmp_path, upscale, capsys):
    picture(tmp_path / "a.png", 20, 20)
    sizes = {}
    for extension in ("jpg", "webp"):
        for quality in ([], ["--quality", 90], ["--quality", 20]):
            target = tmp_path / f"{len(sizes)}.{extension}"
            assert upscale(tmp_path / "a.png", "-o", target, *quality) == 0
            sizes.setdefault(extension, []).append(target.stat().st_size)
            with PIL.Image.open(target) as written:
                assert written.size == (80, 80)
    for default, good, poor in sizes.values():
        assert default > good > poor
    for quality, message in ((0, "--quality 0: expected 1 to 100"), (101, "--quality 101: expected 1 to 100")):
        assert upscale(tmp_path / "a.png", "-o", tmp_path / "b.jpg", "--quality", quality) == 2
        assert message in said(capsys)[-1]
    assert upscale(tmp_path / "a.png", "-o", tmp_path / "b.png", "--quality", 90) == 2
    assert said(capsys)[-1].endswith("b.png: .png has no quality to choose; expected .jpg, .jpeg or .webp")


# What is out of date


def test_skip_makes_again_what_other_settings_or_an_older_picture_made(tmp_path, upscale, capsys):
    source, target = picture(tmp_path / "a.png"), tmp_path / "out" / "a_x4.png"
    skip = [source, "-o", tmp_path / "out", "--existing", "skip"]
    assert upscale(*skip) == 0
    first = target.read_bytes()

    def again(*options):
        """Whether the file is made again."""
        before = target.stat().st_mtime_ns
        assert upscale(*skip, *options) == 0
        return target.stat().st_mtime_ns != before

    assert not again()
    assert not again("--memory", "1GB")  # which changes nothing
    assert again("--blend", 0.5)
    assert target.read_bytes() != first
    assert not again("--blend", 0.5)
    assert again()
    assert target.read_bytes() == first
    picture(source, 7, 5)
    assert again()
    assert read_image(target).pixels.shape == (28, 20, 3)
    assert not again()


def test_what_its_user_has_changed_is_not_made_again(tmp_path, upscale):
    source, target = picture(tmp_path / "a.png"), tmp_path / "a_x4.png"
    assert upscale(source) == 0
    target.write_bytes(b"mine")
    assert upscale(source, "--existing", "skip", "--blend", 0.5) == 0
    assert target.read_bytes() == b"mine"


def test_keep_leaves_whatever_is_there(tmp_path, upscale):
    source, target = picture(tmp_path / "a.png"), tmp_path / "a_x4.png"
    target.write_bytes(b"theirs")
    for existing in ("keep", "skip"):  # nothing is known of it
        assert upscale(source, "--existing", existing) == 0
        assert target.read_bytes() == b"theirs"
    assert upscale(source, "--existing", "overwrite") == 0
    written = target.read_bytes()
    assert upscale(source, "--existing", "keep", "--blend", 0.5) == 0
    assert target.read_bytes() == written


@pytest.mark.parametrize("content", [b'{"name": "a_x4.p', b"\xff\xfe", b"[]\n3\n{}\n", None])
def test_with_a_damaged_record_what_is_there_is_left(tmp_path, upscale, monkeypatch, content):
    source, target = picture(tmp_path / "a.png"), tmp_path / "a_x4.png"
    monkeypatch.setattr(platformdirs, "user_state_dir", lambda *_, **__: str(tmp_path / "state"))
    assert upscale(source) == 0
    (record,) = (tmp_path / "state").rglob("*.jsonl")
    assert json.loads(record.read_text())["name"] == "a_x4.png"
    if content is None:  # a folder that nothing can be written to
        record.unlink()
        record.mkdir()
    else:
        record.write_bytes(content)
    before = target.stat().st_mtime_ns
    assert upscale(source, "--existing", "skip", "--blend", 0.5) == 0
    assert target.stat().st_mtime_ns == before
    if content is not None and content.startswith(b"{"):  # a torn line costs only itself
        assert upscale(source, "--existing", "overwrite") == 0
        assert upscale(source, "--existing", "skip", "--blend", 0.5) == 0
        assert record.read_bytes().count(b'"made"') == 2


def test_streams_leave_no_record(tmp_path, tiny, monkeypatch):
    monkeypatch.setattr(platformdirs, "user_state_dir", lambda *_, **__: str(tmp_path / "state"))
    source = picture(tmp_path / "a.png")
    command = [*COMMAND, "-", "--weights", tiny]
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    done = subprocess.run(command, input=source.read_bytes(), capture_output=True, check=True, env=environment)
    assert done.stdout.startswith(b"\x89PNG")
    assert not (tmp_path / "state").exists()

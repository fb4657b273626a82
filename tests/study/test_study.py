import builtins
import copy
import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest

import lowrank_sr as lsr
from lowrank_sr.cli import main
from lowrank_sr.lowrank import svd
from lowrank_sr.pictures.images import Image, enlarge, read_image, write_image
from lowrank_sr.pictures.pairs import find_pairs
from lowrank_sr.pictures.quality import measure_quality
from lowrank_sr.study.measure import crops, steps
from lowrank_sr.study.report import claims, poster, tables

METHODS = ["direct", "im2col", "winograd", "svd", "cp"]


def tiny_network():
    """A network whose kernels are nearly of low rank, as trained ones are, and which enlarges without exploding."""
    net = lsr.RRDBNet.random(num_feat=8, num_block=1, num_grow_ch=4)
    layers = {}
    for name, layer in net.layers.items():
        near = svd.reconstruct(*svd.truncate(layer.weight, 2))
        weight = (0.5 * near + 0.05 * layer.weight).astype(np.float32)
        layers[name] = lsr.Dense(weight, 0.1 * layer.bias)
    return lsr.RRDBNet(layers)


def arguments(root, output, *more):
    given = ["--weights", root / "tiny.npz", "--data", root / "pictures", "--quick", "--threads", 1]
    return ["study", "-o", str(output), *map(str, given), "--methods", *METHODS, *more]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    tiny_network().save(root / "tiny.npz")
    (root / "pictures").mkdir()
    pixels = read_image("data/images/chelsea.png").pixels
    write_image(root / "pictures" / "eye.png", Image(np.ascontiguousarray(pixels[100:148, 100:156])))
    write_image(root / "pictures" / "nose.png", Image(np.ascontiguousarray(pixels[160:208, 160:208])))
    return root


@pytest.fixture(scope="module")
def report(root):
    """The folder of a quick study of the tiny network."""
    assert main(arguments(root, root / "report")) == 0
    return root / "report"


@pytest.fixture(scope="module")
def results(report):
    return json.loads((report / "results.json").read_text(encoding="utf-8"))


def without_measured(value):
    """`value` without what depends on the clock or the machine."""
    if isinstance(value, dict):
        return {key: without_measured(item) for key, item in value.items() if key != "measured"}
    return [without_measured(item) for item in value] if isinstance(value, list) else value


def numbers_in(value):
    """Every number in results.json, those within its sentences too."""
    if isinstance(value, dict):
        return [number for item in value.values() for number in numbers_in(item)]
    if isinstance(value, list):
        return [number for item in value for number in numbers_in(item)]
    if isinstance(value, str):
        return [float(text) for text in re.findall(r"\d+(?:\.\d+)?", value)]
    return [] if value is None else [float(value)]


def test_the_report_is_there(report):
    names = {str(path.relative_to(report)) for path in report.rglob("*") if path.is_file()}
    drawn = ("figure2", "figure3", "figure4", "layers", "pareto", "thresholds", "memory")
    assert names >= {f"figures/{name}.{kind}" for name in drawn for kind in ("png", "svg")}
    assert names >= {"results.json", "report.md", "report.html", "networks/svd.npz", "networks/cp-fitted.npz"}
    assert not [name for name in names if "/." in name or name.startswith(".")]  # nothing half written


@pytest.mark.parametrize("name", ["direct", "winograd", "svd", "cp fitted", "svd fitted winograd"])
def test_quality_is_what_evaluate_measures(root, report, results, name):
    if name in METHODS[:3]:
        net = lsr.load(root / "tiny.npz", method=name)
    else:
        file = name.removesuffix(" winograd").replace(" ", "-")
        net = lsr.load(report / "networks" / f"{file}.npz", method="winograd" if "winograd" in name else "direct")
    rows = [
        measure_quality(enlarge(low, net), high, 4)
        for low, high in (pair.read_images(4) for pair in find_pairs(root / "pictures"))
    ]
    for key in ("psnr_rgb", "ssim_rgb", "psnr_y", "ssim_y"):
        assert results["steps"][f"quality/{name}"][key] == pytest.approx(np.mean([row[key] for row in rows]), abs=1e-9)


def test_flops_and_speedups_are_those_of_the_formulas(report, results):
    side = results["settings"]["side"]
    for name in ("svd", "svd-fitted", "cp", "cp-fitted"):
        net, count = lsr.load(report / "networks" / f"{name}.npz"), 0
        for layer_name, layer in net.layers.items():
            (n, c, d), rank = layer.shape, layer.rank
            if isinstance(layer, lsr.Dense):
                cost = d * d * n * c
            else:
                cost = d * rank * (c + n) if isinstance(layer, lsr.Separable) else rank * (c + 2 * d + n)
            enlarged = {"upconv1": 2, "upconv2": 4, "HRconv": 4, "conv_last": 4}.get(layer_name, 1)
            count += 2 * cost * (side * enlarged) ** 2
        row = results["steps"]["time"]["techniques"][name.replace("-", " ")]
        assert row["gflop"] == pytest.approx(count / 1e9)
        assert row["theoretical_speedup"] >= 2
        assert row["parameters"] == sum(
            array.size for layer in net.layers.values() for array in layer.arrays().values()
        )
    for row in results["steps"]["time"]["techniques"].values():
        dense = results["steps"]["time"]["techniques"]["direct"]["gflop"]
        assert row["measured"]["gflops"] == pytest.approx(dense / row["measured"]["seconds"])
        assert row["theoretical_speedup"] == pytest.approx(dense / row["gflop"])


def test_condition_numbers_are_numpys(root, results):
    net, found = lsr.load(root / "tiny.npz"), results["steps"]["condition numbers"]
    assert [row["name"] for row in found["layers"]] == list(net.layers)
    for row in found["layers"]:
        matrix = svd.matricise(net.layers[row["name"]].weight.astype(np.float64))
        assert row["condition"] == pytest.approx(np.linalg.cond(matrix), rel=1e-6)
        energy = np.cumsum(np.linalg.svd(matrix, compute_uv=False) ** 2)
        assert row["rank_90"] == np.argmax(energy >= 0.9 * energy[-1]) + 1
        assert row["marked"] == (row["condition"] > found["threshold"])
    assert found["marked"] == [row["name"] for row in found["layers"] if row["marked"]]


def test_layers_at_the_posters_rank(results):
    layer = results["steps"]["layer/RRDB_trunk.0.RDB1.conv5"]
    (row,) = [row for row in layer["rows"] if row.get("poster_bound")]
    n, c, d = layer["shape"]
    assert (n, c, d) == (8, 24, 3)
    assert row["rank"] == n * c // (n + c)
    assert row["theoretical_speedup"] == pytest.approx(d * d * n * c / (row["rank"] * (n + c + 2 * d)))
    assert row["gflop"] == pytest.approx(2 * row["rank"] * (n + c + 2 * d) * layer["side"] ** 2 / 1e9)


def test_the_detail_is_where_the_estimates_differ_most():
    rng = np.random.default_rng(0)
    first = rng.random((150, 180, 3), dtype=np.float32)
    second, third = first.copy(), first.copy()
    second[40:130, 70:160] += np.float32(0.5)
    _, top, left, side = crops.most_different([first, second, third], border=4)
    assert side == 96
    assert top <= 40 < 130 <= top + side
    assert left <= 70 < 160 <= left + side


def test_the_detail_stays_inside_the_border():
    picture = np.zeros((110, 120, 3), np.float32)
    corner = picture.copy()
    corner[-20:, -20:] = 1
    _, top, left, side = crops.most_different([picture, picture, corner], border=4)
    assert (top + side, left + side) == (106, 116)


def test_every_number_of_the_tables_is_in_the_results(report, results):
    known = np.array(numbers_in(results))
    lines = [line for line in (report / "report.md").read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    tokens = {token for line in lines for token in re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])", line)}
    assert len(tokens) > 100
    for token in tokens:
        digits = len(token.partition(".")[2])
        assert np.abs(known - float(token)).min() <= 0.5000001 * 10**-digits, token


def test_the_poster_stands_beside_ours(results):
    assert results["poster"]["svd"] == {"psnr": 23.31, "ssim": 0.68}
    table = tables.poster(results["steps"])
    assert table.rows[2][:2] == ["SVD", "23.31"]
    assert table.rows[2][2] == f"{results['steps']['quality/svd']['psnr_rgb']:.2f}"


def verdicts(steps):
    return {claim["poster"]: claim["measured"]["verdict"] for claim in claims.claims(steps)}


def test_the_claims_are_the_posters(results):
    said = [poster.FASTER, poster.IMPROVES, poster.THRESHOLD, poster.IM2COL, poster.BOUND]
    assert [claim["poster"] for claim in results["claims"]] == said


@pytest.mark.parametrize(
    ("lows", "verdict"), [((1.1, 1.2), "agrees"), ((0.9, 1.2), "agrees in part"), ((0.9, 0.8), "does not agree")]
)
def test_low_rank_is_faster_where_its_slowest_quartile_is(results, lows, verdict):
    """F(4, 3) has no say: it is not what the poster compares with direct convolution."""
    steps = copy.deepcopy(results["steps"])
    rows = steps["time"]["techniques"]
    for name in ("svd", "svd fitted"):
        rows[name]["measured"]["speedup_low"] = lows[0]
    for name in ("cp", "cp fitted"):
        rows[name]["measured"]["speedup_low"] = lows[1]
    rows["svd fitted winograd"]["measured"]["speedup_low"] = 3.0
    assert verdicts(steps)[poster.FASTER] == verdict


@pytest.mark.parametrize(
    ("psnr", "ssim", "verdict"),
    [(0.02, 0.001, "agrees"), (0.02, 0.0, "agrees in part"), (0.009, 0.0004, "does not agree")],
)
def test_svd_improves_by_more_than_a_hair(results, psnr, ssim, verdict):
    steps = copy.deepcopy(results["steps"])
    dense = steps["quality/direct"]
    for name, row in steps.items():
        if name.startswith(("quality/svd", "speed-up/svd", "threshold/", "truncation/")):
            row |= {"psnr_rgb": dense["psnr_rgb"] + psnr, "ssim_rgb": dense["ssim_rgb"] + ssim}
    assert verdicts(steps)[poster.IMPROVES] == verdict


@pytest.mark.parametrize(("slower", "verdict"), [(True, "agrees"), (False, "does not agree")])
def test_a_threshold_slows_down_by_more_than_the_spread(results, slower, verdict):
    steps = copy.deepcopy(results["steps"])
    for sweep, key in (("threshold", "threshold"), ("truncation", "condition")):
        points = [row for name, row in steps.items() if name.startswith(f"{sweep}/") and "refused" not in row]
        for rank, row in enumerate(sorted(points, key=lambda row: row[key])):
            low = 1 + rank if slower else 1.0
            row["measured"] |= {"speedup": low + 0.1, "speedup_low": low, "speedup_high": low + 0.2}
    assert verdicts(steps)[poster.THRESHOLD] == verdict


def test_a_claim_without_its_methods_is_not_tested(results):
    left = dict(results["steps"])
    left["time"] = {"side": 64, "techniques": {"direct": left["time"]["techniques"]["direct"]}}
    assert {claim["measured"]["verdict"] for claim in claims.claims(left)} == {claims.UNTESTED}


class Links(HTMLParser):
    """What a page would load, and what it holds."""

    def __init__(self):
        super().__init__()
        self.links, self.unsized, self.ids, self.drawings = [], [], [], 0

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.ids += [given["id"]] if "id" in given else []
        self.drawings += tag == "svg"
        self.links += [value for key, value in given.items() if key in ("src", "href", "xlink:href")]
        if tag in ("img", "svg") and not {"width", "height"} <= given.keys():
            self.unsized.append(given)


def test_the_page_needs_nothing_else(report):
    text = (report / "report.html").read_text(encoding="utf-8")
    page = Links()
    page.feed(text)
    assert all(link.startswith(("data:", "#")) for link in page.links)
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    assert not page.unsized  # or the page would move as it loads
    assert len(page.ids) == len(set(page.ids))
    assert page.drawings == 6
    references = {link[1:] for link in page.links if link.startswith("#")} | set(re.findall(r"url\(#([^)]+)\)", text))
    assert references <= set(page.ids)


def test_outputs_name_no_path_of_this_machine(root, report):
    for name in ("results.json", "report.md", "report.html", "figures/figure2.svg"):
        assert str(root) not in (report / name).read_text(encoding="utf-8")


def test_a_second_run_recomputes_nothing(root, report, results, monkeypatch):
    def refuse(study):
        return {name: lambda name=name: pytest.fail(f"{name} was computed again") for name in real(study)}

    real = steps.steps
    monkeypatch.setattr("lowrank_sr.study.run.steps", refuse)
    drawing = (report / "figures" / "layers.svg").read_bytes()
    assert main(arguments(root, report)) == 0
    assert json.loads((report / "results.json").read_text(encoding="utf-8")) == results
    assert (report / "figures" / "layers.svg").read_bytes() == drawing


def test_an_interrupted_study_goes_on_and_agrees_but_for_times(root, report, results, tmp_path, monkeypatch):
    computed = []

    def stopping(study):
        def run(name, step):
            computed.append(name)
            if computed.count("quality/bicubic") == 1 and name == "quality/bicubic":
                raise KeyboardInterrupt
            return step()

        return {name: lambda name=name, step=step: run(name, step) for name, step in real(study).items()}

    real = steps.steps
    monkeypatch.setattr("lowrank_sr.study.run.steps", stopping)
    fewer = arguments(root, tmp_path, "--methods", "svd")  # the half of the steps that takes less time
    assert main(fewer) == 130
    kept = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["steps"]
    assert "truncation/4" in kept
    assert "quality/bicubic" not in kept
    assert not (tmp_path / "report.html").exists()
    assert main(fewer) == 0
    assert computed.count("speed-up/svd fitted/2") == 1
    again = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["steps"]
    common = again.keys() - {"time", "crop"} - {name for name in again if name.startswith("layer/")}
    assert {"speed-up/svd fitted/2", "threshold/1", "quality/direct"} <= common
    for name in common:
        assert without_measured(again[name]) == without_measured(results["steps"][name])
    for file in ("figures/figure2.svg", "networks/svd-fitted.npz"):
        assert (tmp_path / file).read_bytes() == (report / file).read_bytes()


def test_other_settings_start_anew(root, report, tmp_path, monkeypatch):
    shutil.copy(report / "results.json", tmp_path)
    monkeypatch.setattr("lowrank_sr.study.run.steps", lambda study: pytest.fail("enough"))
    from lowrank_sr.study import record, settings

    weights, data = root / "tiny.npz", root / "pictures"
    _, described = settings.open_study(tmp_path, weights, data, True, False, tuple(METHODS), seed=1)
    assert record.read(tmp_path / "results.json", settings.fingerprint(described, weights, data)) == {}


def only_sentence(capsys):
    (line,) = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("compiling")]
    return line


@pytest.mark.parametrize("command", [["study", "-o"], ["plot-benchmarks"]])
def test_without_matplotlib(tmp_path, monkeypatch, capsys, command):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name.partition(".")[0] == "matplotlib":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    assert main([*command, str(tmp_path / "new")]) == 2
    assert "pip install" in only_sentence(capsys)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--methods", "fft"], "method 'fft': expected some of direct, im2col, kn2row, winograd, svd, cp"),
        (["--weights", "missing.npz"], "missing.npz"),
        (["--data", "missing"], "missing: cannot be listed"),
    ],
)
def test_bad_input(tmp_path, capsys, more, sentence):
    assert main(["study", "-o", str(tmp_path / "report"), *more]) == 2
    assert sentence in only_sentence(capsys)


def test_a_compressed_network_is_refused(report, tmp_path, capsys):
    assert main(["study", "-o", str(tmp_path), "--weights", str(report / "networks" / "svd.npz")]) == 2
    assert "svd.npz: is compressed already" in only_sentence(capsys)


def benchmark_file(path):
    rows = [
        {"stats": {"median": seconds}, "extra_info": {"flops": flops, "gflops": 0, "method": method, "threads": 2}}
        for method, seconds, flops in [("direct", 0.02, 4e9), ("winograd", 0.01, 4e9), ("PyTorch", 0.03, 5e9)]
    ]
    path.write_text(json.dumps({"benchmarks": [*rows, {"stats": {"median": 1.0}, "extra_info": {}}]}))
    return path


@pytest.mark.parametrize("suffix", [None, ".svg", ".pdf"])
def test_plot_benchmarks(tmp_path, capsys, suffix):
    source = benchmark_file(tmp_path / "b.json")
    target = tmp_path / f"drawing{suffix}" if suffix else tmp_path / "b.png"
    assert main(["plot-benchmarks", str(source), *(["-o", str(target)] if suffix else [])]) == 0
    assert capsys.readouterr().out == f"{target}\n"
    first = target.read_bytes()
    assert main(["plot-benchmarks", str(source), "-o", str(target)]) == 0
    assert target.read_bytes() == first
    if suffix is None:
        assert read_image(target).pixels.std() > 0.01


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "is not the JSON that pytest-benchmark writes"),
        ("[]", "is not the JSON that pytest-benchmark writes"),
        ('{"benchmarks": []}', "has no benchmark with FLOPs"),
        (None, "cannot be read"),
    ],
)
def test_plot_benchmarks_refuses(tmp_path, capsys, text, sentence):
    source = tmp_path / "b.json"
    if text is not None:
        source.write_text(text)
    assert main(["plot-benchmarks", str(source)]) == 2
    assert sentence in only_sentence(capsys)


def test_plot_benchmarks_refuses_a_suffix(tmp_path, capsys):
    assert main(["plot-benchmarks", str(benchmark_file(tmp_path / "b.json")), "-o", str(tmp_path / "b.xyz")]) == 2
    assert "expected a name that ends in .png, .svg or .pdf" in only_sentence(capsys)

import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from example_results import METHODS, SIDE, example, quality, report_on, with_tuned
from made_up import BUSY, at, timed

from lowrank_sr.pictures.images import read_image
from lowrank_sr.study.report import clock, figures, lossless, page, style, tables
from lowrank_sr.study.technique import (
    BY_NAME,
    CP_FITTED,
    IM2COL,
    REFERENCE,
    SVD_BUNDLED,
    SVD_FITTED_WINOGRAD,
    SVD_KERNEL,
    WINOGRAD,
    recipes,
)

FIGURES = ("figure2", "figure3", "figure4", "layers", "pareto", "thresholds", "memory")
FIGURES += ("ablation", "alone", "tail")
OF_ALL = ("answer", "figure1")
OF_PICTURES = ("figure4", "tail")
WINOGRAD_EXACT = replace(REFERENCE, method=WINOGRAD)


def test_every_figure_is_drawn(written):
    folder, _ = written
    for own, names in ((folder, OF_ALL), (folder / "tiny", FIGURES), (folder / "control", FIGURES)):
        drawn = {path.name for path in (own / "figures").iterdir()}
        assert drawn == {f"{name}{ending}" for name in names for ending in (".png", ".svg", "-narrow.svg")}
        for name in names:
            assert read_image(own / "figures" / f"{name}.png").pixels.std() > 0.01


def test_a_figure_without_numbers_is_left_out(tmp_path):
    results = example()
    assert figures.figures_of(results, tmp_path).keys() == set(FIGURES)
    fewer = type(results)(**(vars(results) | {"speedups": results.speedups[1:2], "thresholds": ()}))
    assert figures.figures_of(fewer, tmp_path).keys() == set(FIGURES) - {"pareto", "thresholds"}
    assert "pareto.svg" not in written_from(fewer)


def test_a_figure_is_the_same_every_time(tmp_path):
    draw = figures.figures_of(example(), tmp_path)["memory"]
    for name in ("first.svg", "second.svg"):
        with style.styled():
            style.save(draw(True), tmp_path / name)
    assert (tmp_path / "first.svg").read_bytes() == (tmp_path / "second.svg").read_bytes()


def test_table1_holds_what_was_measured():
    table = tables.table1(example())
    assert [row[0] for row in table.rows[:3]] == ["bicubic", "original (direct)", "im2col + GEMM"]
    row = dict(zip(table.header, next(row for row in table.rows if row[0] == "SVD, fitted"), strict=True))
    assert row["PSNR RGB (dB)"] == "27.00"
    assert row["theoretical speed-up"] == "2.00"
    assert row["measured speed-up"] == "2.00 (1.90–2.10)"
    assert row["seconds"] == "0.500 (0.450–0.550)"
    assert row["peak memory (MB)"] == "30"
    assert row["fidelity (dB)"] == "31.00"
    assert f"Seconds are the median and the quartiles for {SIDE} x {SIDE} pixels." in written_from(example())


def test_fidelity_naturalness_and_sharpness_stand_beside_the_dense_network():
    table = tables.beside_dense(with_tuned(example()))
    rows = {row[0]: row[1:] for row in table.rows}
    assert list(rows)[:2] == ["bicubic", "the dense network"]
    assert rows["SVD, fitted"] == ["31.00", "0.9100", "5.20", "0.70"]
    assert rows["the dense network"] == ["–", "–", "5.20", "–"]
    assert {"SVD, fine-tuned", "dense, fine-tuned"} <= rows.keys()
    assert "Winograd" not in rows  # the dense network's pictures, too


def test_multiplications_stand_beside_flops():
    """Of direct convolution, over those that are done."""
    results = example()
    times = results.times[REFERENCE], results.times[SVD_FITTED_WINOGRAD]
    direct, pairs = (replace(row, multiplications=count) for row, count in zip(times, (9.0, 2.0), strict=True))
    table = tables.table1(replace(results, times=results.times | {REFERENCE: direct, SVD_FITTED_WINOGRAD: pairs}))
    column = table.header.index("speed-up by multiplications")
    rows = {row[0]: row[column] for row in table.rows}
    assert [rows[name] for name in ("bicubic", "original (direct)", "SVD, fitted, F(6, 3)")] == ["–", "1.00", "4.50"]


def test_the_poster_stands_beside_ours():
    table = tables.poster_table1(example())
    assert [row[0] for row in table.rows[:4]] == [
        "original", "im2col", "SVD, kernel, marked layers", "SVD, kernel, unmarked layers",
    ]  # fmt: skip
    assert table.rows[2][1:] == ["23.31", "27.00", "0.68", "0.80", "31.00", "0.9100"]


def test_the_ablation_has_a_row_for_each_combination():
    table = tables.ablation(example())
    assert len(table.rows) == 1 + len(example().ablation)
    row = ["SVD, all layers, uniform share, kernel", "10", "2.00", "31.00", "0.9100", "33.00", "27.00", "0.8000"]
    assert table.rows[1] == row
    assert table.rows[-1][0] == "SVD, layers outside the blocks, uniform share, kernel"
    row = ["trunk_conv", "12", "0.300", "1.010", "31.00", "0.9100", "33.00", "26.00", "0.8000"]
    assert tables.alone(example()).rows == [row]


def test_thresholds_have_rows_without_the_guard():
    rows = tables.thresholds(example()).rows
    limited = [row[:2] for row in rows if "singular value" in row[0]]
    assert limited[:2] == [
        ["every layer at a singular value", "0.500"],
        ["every layer at a singular value, without the guard", "0.500"],
    ]
    assert len(rows) == 2 + 2 + 4


def test_points_without_a_network_say_why():
    results = example()
    (first, second), why = results.truncations, "no layer would cost less than it does dense"
    results = replace(results, truncations=(first, replace(second, network=None, refused=why)))
    rows = tables.thresholds(results).rows
    assert [f"every layer at a condition number: {why}", "16.000", *["–"] * len(tables.NETWORK)] in rows
    assert ["SVD, kernel: too fast", "9", *["–"] * len(tables.NETWORK)] in tables.speedups(results).rows


def test_the_self_check_shows_every_measurement():
    rows = {row[0]: row[1:] for row in tables.self_check(example()).rows}
    assert rows["direct"] == ["1.00 (0.95–1.05)", "1.00 (0.95–1.05)", "–", "0.10"]
    assert rows["SVD, kernel"][2] == "2.00 (1.90–2.10)"  # from the sweep of speed-ups
    assert "CP, fitted" in rows  # timed for Table 1 and in the sweep
    assert "SVD, fitted" not in rows  # here in Table 1 alone
    assert "SVD, kernel, marked layers" in rows


def written_from(results):
    """The report on these results in Markdown."""
    return page.rendered("markdown.j2", report_on(results, "tiny.npz", pictures=("eye",)), Path())


def test_without_svd_no_layer_stands_alone():
    text = written_from(replace(example(), alone=()))
    assert "| SVD, all layers, uniform share, kernel |" in text
    assert "alone.svg" not in text
    assert "One layer alone" not in text


def test_the_words_are_of_this_network():
    results = example()
    text = written_from(results)
    assert "ours, 100, lies in the widest gap of the condition numbers, and marks 1 of 4 layers" in text
    assert "for decomposition: trunk_conv. Below" in text
    assert "Fidelity with each layer outside the dense blocks factorised alone" in text
    (row,) = results.alone
    inside = replace(results, alone=(row, replace(row, layer="RRDB_trunk.0.RDB1.conv1")))
    assert "Fidelity with each layer factorised alone" in written_from(inside)
    assert "num_block 1, num_feat 8, num_grow_ch 4, 21 layers, 1,000 parameters. On 1 picture it has 28.00 dB" in text


def test_the_page_explains_the_words_of_its_tables():
    """Offline, without the documentation: the formulas of the three forms, and what a technique's name says."""
    text = written_from(example())
    for word in ("dense", "SVD", "CP", "kernel", "fitted", "marked, unmarked", "F(6, 3)", "PSNR, SSIM"):
        assert f"\n- **{word}**: " in text
    for flops in ("2 d² N C FLOPs", "2 d K (C + N) FLOPs", "2 R (C + 2 d + N) FLOPs"):
        assert flops in text
    assert "**fine-tuned**" not in text
    assert "**fine-tuned**" in written_from(with_tuned(example()))
    assert ".md" not in text


QUICK_DEEP = ("svd fitted", "svd fitted winograd", "cp", "cp marked", "cp unmarked", "cp fitted")


@pytest.mark.parametrize(
    ("methods", "left_out"),
    [
        (METHODS, QUICK_DEEP),
        (("direct",), ()),
        (("direct", "winograd"), ()),
        (("direct", "svd"), ()),
        (("direct", "cp"), ()),
        (METHODS, ()),
    ],
)
def test_what_is_left_out_is_left_out_of_the_report(tmp_path, methods, left_out):
    """As of a deep network in a quick study: no sweep, no ablation, no layers, nothing timed again."""
    results = example(methods)
    gone = {BY_NAME[name] for name in left_out}
    kept = {
        field: {technique: of for technique, of in getattr(results, field).items() if technique not in gone}
        for field in ("quality", "times", "repeats", "memory")
    }
    sweeps = dict.fromkeys(("speedups", "thresholds", "truncations", "limits", "ablation", "alone"), ())
    results = replace(results, **kept | {"repeats": {}}, layers={}, **sweeps)
    text = page.rendered("markdown.j2", report_on(results, "tiny.npz"), tmp_path)
    assert "# Low-rank convolutions" in text
    assert "the self-check passed" not in text
    draw_all(results, tmp_path)


def draw_all(results, folder):
    """Every figure that is not made of pictures."""
    every = figures.figures_of(results, folder) | figures.of_all({"tiny.npz": results})
    for draw in (draw for name, draw in every.items() if name not in OF_PICTURES):
        draw(False)


def test_a_network_that_is_the_dense_one_is_no_trouble(tmp_path):
    """As where no layer is marked: there is nothing to compare its picture with."""
    results = example()
    marked = recipes("svd")[0]
    results = replace(results, quality=results.quality | {marked: quality(28.0, dense=True)})
    text = page.rendered("markdown.j2", report_on(results, "tiny.npz"), tmp_path)
    assert "| SVD, kernel, marked layers, ×2.00 | ∞ | – | +0.00 ± 0.00 |" in text
    draw_all(results, tmp_path)


def test_the_answer_names_what_any_network_has():
    """Also what only the first one has."""
    results = example()
    bundled = {SVD_BUNDLED: results.times[SVD_KERNEL]}
    first = replace(results, times=results.times | bundled, quality=results.quality | {SVD_BUNDLED: quality(28.2)})
    figure = figures.of_all({"first": first, "second": results})["answer"](True)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "SVD, bundled" in names
    assert len(names) == len(set(names))


def test_layers_on_both_sides_of_the_threshold():
    assert tables.conditions(example()).rows == [
        ["above the threshold", "1", "1000 to 1000", "50 to 50"],
        ["others", "3", "10 to 20", "33 to 50"],
    ]


def test_points_are_counted_beside_sgemm():
    """Which does 1 GFLOP/s here: a layer of 0.5 GFLOP, or 0.25 multiplications, in 0.25 s is twice as fast."""
    results = example()
    (name, layer), quick = next(iter(results.layers.items())), replace(results.sgemm.measured, gflops=1.0)
    row = replace(layer.rows[0], gflop=0.5, multiplications=0.1, measured=replace(layer.rows[0].measured, seconds=0.25))
    results = replace(results, sgemm=replace(results.sgemm, measured=quick), layers={name: replace(layer, rows=(row,))})
    assert tables.sgemm(results).rows == [
        ["FLOPs, by the formula", "1 of 1", "200%"],
        ["multiplications done", "0 of 1", "80%"],
    ]


def test_the_fastest_are_told_apart_or_named_together():
    results = timed(example(), {SVD_FITTED_WINOGRAD: 3.0, IM2COL: 0.5})
    assert clock.fastest(results, list(results.quality)) == [SVD_FITTED_WINOGRAD]
    assert "Fastest: SVD, fitted, F(6, 3); of the exact methods: Winograd." in written_from(results)
    level = clock.fastest(timed(results, {SVD_FITTED_WINOGRAD: 2.1}), list(results.quality))
    assert level[0] == SVD_FITTED_WINOGRAD
    assert {SVD_KERNEL, CP_FITTED} <= set(level)


def test_a_disturbed_time_is_not_among_the_fastest():
    results = timed(timed(example(), {SVD_FITTED_WINOGRAD: 3.0}), {IM2COL: 9.0}, load=BUSY)
    assert clock.fastest(results, list(results.quality)) == [SVD_FITTED_WINOGRAD]
    disturbed = timed(results, dict.fromkeys(results.quality, 1.0) | {IM2COL: 9.0}, load=BUSY)
    assert IM2COL in clock.fastest(disturbed, list(results.quality))  # where nothing else is known
    point = results.speedups[-1]
    near = replace(point.network, quality=quality(28.0, fidelity=41.0))
    busy = replace(near, measured=replace(near.measured, winograd=at(near.measured.winograd, 9.0, load=BUSY)))
    swept = replace(results, speedups=(replace(point, network=near), replace(point, speedup=3.0, network=busy)))
    measured = [row for row in lossless.near(swept).rows if row[-1] == "greatest measured"]
    assert measured == [["CP, fitted, ×2", "41.00", "0.9100", "2.00", "3.00 (2.85–3.15)", "greatest measured"]]
    assert "where there are others: 1 of 2 here" in written_from(swept)


def test_the_greatest_speed_up_at_an_invisible_loss():
    """In theory and on the clock, where several are named that it does not tell apart; and without any loss."""
    results = timed(example(), {WINOGRAD_EXACT: 1.8})
    point = example().speedups[-1]

    def swept(speedup, theory, clocked, fidelity):
        network = replace(point.network, quality=quality(28.0, fidelity=fidelity), theoretical_speedup=theory)
        timings = replace(network.measured, winograd=at(network.measured.winograd, clocked))
        return replace(point, speedup=speedup, network=replace(network, measured=timings))

    points = swept(2, 2.0, 3.0, 45.0), swept(3, 3.0, 2.99, 40.0), swept(4, 2.5, 2.0, 41.0), swept(9, 9.0, 9.0, 39.9)
    assert lossless.near(replace(results, speedups=points)).rows == [
        ["CP, fitted, ×3", "40.00", "0.9100", "3.00", "2.99 (2.97–3.01)", "greatest in theory"],
        ["CP, fitted, ×2", "45.00", "0.9100", "2.00", "3.00 (2.98–3.02)", "greatest measured"],
        ["CP, fitted, ×3", "40.00", "0.9100", "3.00", "2.99 (2.97–3.01)", "not told apart"],
        ["Winograd", "∞", "1.0000", "1.25", "1.80 (1.78–1.82)", "fastest exact"],
    ]
    lossy = lossless.near(replace(results, speedups=points[3:])).rows
    assert [row[-1] for row in lossy] == ["fastest exact"]


def test_what_the_system_does_not_report_is_a_dash():
    results = example()
    small, large = results.memory[REFERENCE].sides
    unknown = type(small)(small.side, type(small.measured)(None))
    memory = results.memory | {REFERENCE: type(results.memory[REFERENCE])((unknown, large))}
    table = tables.memory(type(results)(**(vars(results) | {"memory": memory})))
    assert table.rows[0] == ["direct", "–", "120 (120–120)"]


def test_both_reports_say_the_same(written):
    """Every heading, every row of a table, and every verdict with its rule and its numbers."""
    folder, report = written
    text, html = ((folder / name).read_text(encoding="utf-8") for name in ("report.md", "report.html"))
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings == [unescape(heading) for heading in re.findall("<h2>(.*)</h2>", html)]
    rows = re.findall(r"^\| (.*) \|$", text.replace("-", "‑"), re.MULTILINE)
    cells = [re.findall("<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall("<tr>(.*)</tr>", html)]
    drawn = [" | ".join(unescape(re.sub("<[^>]*>", "", cell)).replace("-", "‑") for cell in row) for row in cells]
    judged = [row.count(" | ") == 5 and row.startswith(titles(report)) for row in rows]
    left = [row.replace("**", "") for row, claim in zip(rows, judged, strict=True) if not claim]
    assert [row for row in left if not row.startswith(("‑‑‑", "claim |"))] == drawn
    assert len(drawn) > 80
    shown = unescape(re.sub("<[^>]*>", "", html))
    words = re.findall(r"^- \*\*(.*)\*\*: (.*)$", text, re.MULTILINE)
    assert words == [(unescape(w), unescape(m)) for w, m in re.findall("<dt>(.*)</dt><dd>(.*)</dd>", html)]
    assert len(words) > 8
    for claim in (claim for chapter in report.chapters for claim in chapter.claims):
        for said in (claim.claim, claim.poster, claim.measured.verdict, claim.measured.found, claim.measured.rule):
            assert said in text
            assert said in shown


def titles(report):
    return tuple(claim.claim.replace("-", "‑") for claim in report.chapters[0].claims)


def test_names_are_text_on_the_page(written):
    """A picture's, and a layer's in a caption that is a drawing's label as well."""
    folder, report = written
    first, second = report.chapters
    strange, results = 'a<b> & "c"', first.results
    conditions = replace(results.condition_numbers, marked=(strange,))
    changed = replace(results, crop=replace(results.crop, picture=strange), condition_numbers=conditions)
    chapters = [replace(first, results=changed), second]
    html = page.rendered("html.j2", replace(report, chapters=chapters), folder)
    assert "a<b>" not in html
    # a caption of each, and of the divider, and the labels of the wide and the narrow drawing
    assert html.count("a&lt;b&gt; &amp; ") == 5


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


def test_the_page_needs_nothing_else(written):
    folder, _ = written
    text = (folder / "report.html").read_text(encoding="utf-8")
    links = Links()
    links.feed(text)
    assert all(link.startswith(("data:", "#")) for link in links.links)
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    assert not links.unsized  # or the page would move as it loads
    assert len(links.ids) == len(set(links.ids))
    assert links.drawings == 2 * (len(OF_ALL) + 2 * (len(FIGURES) - len(OF_PICTURES)))
    references = {link[1:] for link in links.links if link.startswith("#")} | set(re.findall(r"url\(#([^)]+)\)", text))
    assert references <= set(links.ids)

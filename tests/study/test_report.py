import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from example_results import METHODS, SIDE, example, quality
from made_up import BUSY, timed

from lowrank_sr.machine import cpu
from lowrank_sr.pictures.images import read_image
from lowrank_sr.study.report import conclusions, figures, introduction, style, tables, tables_causes
from lowrank_sr.study.report.content import Report, sections, summary
from lowrank_sr.study.settings import Settings
from lowrank_sr.study.technique import IM2COL, REFERENCE, SVD_FITTED_WINOGRAD

FIGURES = ("figure1", "figure2", "figure3", "figure4", "layers", "pareto", "thresholds", "memory")
FIGURES += ("ablation", "alone", "tail")
OF_PICTURES = ("figure4", "tail")


def test_every_figure_is_drawn(written):
    folder, _ = written
    drawn = {path.name for path in (folder / "figures").iterdir()}
    assert drawn == {f"{name}{ending}" for name in FIGURES for ending in (".png", ".svg", "-narrow.svg")}
    for name in FIGURES:
        assert read_image(folder / "figures" / f"{name}.png").pixels.std() > 0.01


def test_a_figure_without_numbers_is_left_out(tmp_path):
    results = example()
    names = {figure.name for figure in figures.figures_of(results, tmp_path)}
    assert names == set(FIGURES)
    fewer = type(results)(**(vars(results) | {"speedups": results.speedups[1:2], "thresholds": ()}))
    names = {figure.name for figure in figures.figures_of(fewer, tmp_path)}
    assert names == set(FIGURES) - {"pareto", "thresholds"}


def test_a_figure_is_the_same_every_time(tmp_path):
    (figure,) = [figure for figure in figures.figures_of(example(), tmp_path) if figure.name == "memory"]
    for name in ("first.svg", "second.svg"):
        with style.styled():
            style.save(figure.draw(True), tmp_path / name)
    assert (tmp_path / "first.svg").read_bytes() == (tmp_path / "second.svg").read_bytes()


def test_table1_holds_what_was_measured():
    table = tables.table1(example())
    assert [row[0] for row in table.rows[:3]] == ["bicubic", "original (direct)", "im2col + GEMM"]
    row = dict(zip(table.header, next(row for row in table.rows if row[0] == "SVD, fitted"), strict=True))
    assert row["PSNR RGB (dB)"] == "27.00"
    assert row["measured speed-up"] == "2.00 (1.90–2.10)"
    assert row["seconds"] == "0.500 (0.450–0.550)"
    assert row["peak memory (MB)"] == "30"
    assert f"{SIDE} x {SIDE}" in table.caption


def test_the_poster_stands_beside_ours():
    table = tables.poster_table1(example())
    assert [row[0] for row in table.rows[:4]] == [
        "original", "im2col", "SVD, kernel, marked layers", "SVD, kernel, unmarked layers",
    ]  # fmt: skip
    assert table.rows[2][1:] == ["23.31", "27.00", "0.68", "0.80"]


def test_the_ablation_has_a_row_for_each_combination():
    table = tables_causes.ablation(example())
    assert len(table.rows) == 1 + len(example().ablation)
    assert table.rows[1] == ["SVD, all layers, uniform share, kernel", "10", "2.00", "27.00", "27.50", "0.8000"]
    assert table.rows[-1][0] == "SVD, unmarked layers, uniform share, fitted"
    assert tables_causes.alone(example()).rows == [["trunk_conv", "12", "0.300", "1.010", "26.00", "27.00", "0.8000"]]


def test_thresholds_have_rows_without_the_guard():
    rows = tables_causes.thresholds(example()).rows
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
    rows = tables_causes.thresholds(results).rows
    assert [f"every layer at a condition number: {why}", "16.000", *["–"] * 7] in rows
    assert ["SVD, kernel: too fast", "9", *["–"] * 7] in tables.speedups(results).rows
    captions = {figure.name: figure.caption for figure in figures.figures_of(results, Path())}
    assert captions["thresholds"].endswith(f"No filled point: every layer at a condition number, 16 ({why}).")


def test_the_self_check_shows_every_measurement():
    rows = {row[0]: row[1:] for row in tables_causes.self_check(example()).rows}
    assert rows["direct"] == ["1.00 (0.95–1.05)", "1.00 (0.95–1.05)", "–", "0.10"]
    assert rows["SVD, kernel"][2] == "2.00 (1.90–2.10)"  # from the sweep of speed-ups
    assert "CP, fitted" in rows  # timed for Table 1 and in the sweep
    assert "SVD, fitted" not in rows  # here in Table 1 alone
    assert "SVD, kernel, marked layers" in rows


def test_the_full_size_table_names_no_factors():
    assert [row[0] for row in tables.full_size(example()).rows] == ["direct", "SVD, F(6, 3)"]


def blocks(results, heading):
    settings = Settings("tiny.npz", "pictures", True, True, METHODS, 0, ("eye",))
    report = Report(settings, cpu.describe(), results, [])
    return dict(sections(report, Path())).get(heading, [])


def test_the_note_on_the_full_size_is_of_what_was_timed():
    note, missing = blocks(example(), "ESRGAN at full size")[1:]
    assert note.endswith("The other layers are dense, by Winograd's algorithm beside SVD, F(6, 3).")
    assert missing.startswith("CP is not timed here")


def test_without_svd_no_layer_stands_alone():
    results = replace(example(), alone=())
    tables_there = [block for block in blocks(results, "Where the loss comes from") if isinstance(block, tables.Table)]
    assert [table.caption[:12] for table in tables_there] == ["The ablation"]


def test_the_tail_is_that_of_the_network():
    results = example()
    text = introduction.network(results)
    assert "the enlarged picture: upconv1 and conv_last." in text
    assert "has 1 block, " in text
    assert dict(introduction.words(results).entries)["dense block, tail"].endswith("; upconv1 and conv_last")
    settings = Settings("tiny.npz", "pictures", True, True, METHODS, 0, ("eye",))
    assert "on 1 picture (eye)" in summary(Report(settings, {}, results, []))


def test_the_fastest_are_told_apart_or_named_together():
    results = timed(example(), {SVD_FITTED_WINOGRAD: 3.0, IM2COL: 0.5})
    assert conclusions.times(results).startswith("Fastest: SVD, fitted, F(6, 3), 3.00 times as fast as direct (2.00 in")
    results = timed(results, {SVD_FITTED_WINOGRAD: 2.1})
    said = conclusions.times(results)
    assert "SVD, kernel, 2.00 times" in said
    assert "CP, fitted, 2.00 times as fast as direct (2.00 in theory), not told apart." in said.split("Of those")[0]


def test_a_disturbed_time_is_not_among_the_fastest():
    results = timed(example(), {SVD_FITTED_WINOGRAD: 3.0})
    busy = timed(results, {IM2COL: 0.5}, load=BUSY)
    assert "im2col" not in conclusions.times(busy)
    point = results.speedups[3]
    direct, by_winograd = point.network.measured.direct, replace(point.network.measured.winograd, load=BUSY)
    near = replace(point.network, quality=quality(28.0))
    slow = replace(near, measured=replace(near.measured, direct=direct, winograd=by_winograd))
    points = (replace(point, network=near), replace(point, speedup=3.0, network=slow))
    said = conclusions.pareto(replace(results, speedups=points))
    assert "measured 3.00 (CP, fitted, ×2); not counted: 1 of these 2 networks" in said


def test_only_layers_that_lose_are_named():
    results = example()
    (row,) = results.alone
    text = conclusions.alone(results)
    assert text.startswith(
        "Of the layers outside the dense blocks, most is lost by trunk_conv (-2.00 dB; -1.00 once colours match)."
    )
    better = replace(results, alone=(replace(row, quality=quality(28.1)),))
    assert conclusions.alone(better).endswith("none loses more than 0.005 dB alone.")
    inside = replace(results, alone=(row, replace(row, layer="RRDB_trunk.0.RDB1.conv1", quality=quality(28.0))))
    assert conclusions.alone(inside) == "Most is lost by trunk_conv (-2.00 dB; -1.00 once colours match)."


def test_what_the_system_does_not_report_is_a_dash():
    results = example()
    small, large = results.memory[REFERENCE].sides
    unknown = type(small)(small.side, type(small.measured)(None))
    memory = results.memory | {REFERENCE: type(results.memory[REFERENCE])((unknown, large))}
    table = tables.memory(type(results)(**(vars(results) | {"memory": memory})))
    assert table.rows[0] == ["direct", "–", "120 (120–120)"]


def test_both_reports_say_the_same(written):
    folder, report = written
    text, html = ((folder / name).read_text(encoding="utf-8") for name in ("report.md", "report.html"))
    for heading, _ in sections(report, folder):
        assert f"## {heading}" in text
        assert f"<h2>{heading}</h2>".replace("'", "&#x27;") in html


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
    assert links.drawings == 2 * (len(FIGURES) - len(OF_PICTURES))
    references = {link[1:] for link in links.links if link.startswith("#")} | set(re.findall(r"url\(#([^)]+)\)", text))
    assert references <= set(links.ids)

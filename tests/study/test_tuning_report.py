"""What the report says of fine-tuned networks, from made-up results."""

from dataclasses import replace

import pytest
from example_results import encoded_steps, example, quality, report_on, with_tuned

from lowrank_sr.pictures.images import read_image
from lowrank_sr.study import record
from lowrank_sr.study.encoding import decode, encode
from lowrank_sr.study.measure.networks import Training
from lowrank_sr.study.measure.speed import StageTimes
from lowrank_sr.study.report import figures, lossless, page, style, tables
from lowrank_sr.study.report.claims import judge
from lowrank_sr.study.technique import CP_FITTED, DENSE_TUNED, REFERENCE, SVD_FITTED, SVD_KERNEL, Technique

SVD_TUNED, CP_TUNED = Technique("svd", "tuned"), Technique("cp", "tuned")


@pytest.fixture
def results():
    """The dense network at 28 dB, SVD and CP of the kernel at a fidelity of 15 and 16 dB, fitted, and trained."""
    near = {SVD_KERNEL: 15.0, Technique("cp"): 16.0, SVD_FITTED: 28.5, CP_FITTED: 28.1}
    changed = example()
    low_rank = {technique: quality(27.9, fidelity=fidelity) for technique, fidelity in near.items()}
    return with_tuned(replace(changed, quality=changed.quality | low_rank), (28.004, 27.993, 27.991))


def test_table1_has_their_rows_at_its_end(results):
    table = tables.table1(results)
    assert table.rows[: -len(results.tuned)] == tables.table1(example_of(results)).rows
    assert [row[0] for row in table.rows[-3:]] == ["dense, fine-tuned", "SVD, fine-tuned", "CP, fine-tuned"]
    row = dict(zip(table.header, table.rows[-2], strict=True))
    assert row["PSNR RGB (dB)"] == "27.99"
    assert row["seconds"] == "0.500 (0.450–0.550)"
    assert row["peak memory (MB)"] == "30"


def example_of(results):
    """The same results without photographs."""
    return replace(results, tuned={}, stages={})


def test_the_table_of_stages(results):
    table = tables.tuning(results)
    assert table.rows == [
        ["dense network", "–", "–", "31.00", "–", "+0.004 ± 0.000", "700"],
        ["SVD", "15.00", "28.50", "31.00", "+2.500 ± 0.000", "-0.007 ± 0.000", "700"],
        ["CP", "16.00", "28.10", "31.00", "+2.900 ± 0.000", "-0.009 ± 0.000", "700"],
    ]


def test_a_gain_is_of_the_same_pictures(results):
    assert list(tables.qualities(results, CP_TUNED)) == [Technique("cp"), CP_FITTED, CP_TUNED]
    assert list(tables.qualities(results, DENSE_TUNED)) == [REFERENCE, DENSE_TUNED]
    mixed = with_gains(results, SVD_TUNED, (2, 6))
    assert gain(mixed) == "+4.000 ± 2.000"  # half the difference of two numbers
    quality = {technique: replace(of, pictures=of.pictures[:1]) for technique, of in results.quality.items()}
    tuned = {
        technique: replace(of, quality=replace(of.quality, pictures=of.quality.pictures[:1]))
        for technique, of in results.tuned.items()
    }
    assert gain(replace(results, quality=quality, tuned=tuned)) == "+2.500"


def gain(results):
    """What SVD's training gained, in the table of stages."""
    table = tables.tuning(results)
    (row,) = [row for row in table.rows if row[0] == "SVD"]
    return dict(zip(table.header, row, strict=True))["gain (dB)"]


def with_gains(results, technique, decibels):
    """The results with what a technique's training gains on each picture."""
    before = results.quality[SVD_FITTED].pictures
    after = tuple(replace(row, fidelity=row.fidelity + gain) for row, gain in zip(before, decibels, strict=True))
    tuned = results.tuned[technique]
    changed = replace(tuned, quality=replace(tuned.quality, pictures=after))
    return replace(results, tuned=results.tuned | {technique: changed})


@pytest.mark.slow
def test_the_figure_is_drawn(results, tmp_path):
    draw = figures.figures_of(results, tmp_path)["tuned"]
    with style.styled():
        for wide in (True, False):
            style.save(draw(wide), tmp_path / f"{wide}.png")
            assert read_image(tmp_path / f"{wide}.png").pixels.std() > 0.01


def test_the_section_says_what_it_was_trained_on(results, tmp_path):
    found = page.rendered("markdown.j2", report_on(results, "tiny.npz", photos="holiday"), tmp_path)
    text = found.partition("## Fine-tuning")[2].partition("\n### ")[0]
    assert "1 minute on this machine, on 40 photographs (the folder holiday)" in text
    assert "none of their files is among the photographs" in text
    assert "(tiny/figures/tuned.svg)" in text
    for row in tables.tuning(results).rows:
        assert f"| {' | '.join(row)} |" in text
    without = report_on(example_of(results), "tiny.npz", photos="holiday")
    assert "Fine-tuning" not in page.rendered("markdown.j2", without, tmp_path)


def test_nothing_else_depends_on_them(results, tmp_path):
    """No claim, no other figure and no other table."""
    assert judge(results) == judge(example_of(results))
    with_tuned, without = (figures.figures_of(some, tmp_path) for some in (results, example_of(results)))
    assert with_tuned.keys() - without.keys() == {"tuned"}
    assert tables.table1(results).rows[: -len(results.tuned)] == tables.table1(example_of(results)).rows
    for table in (
        tables.poster_table1,
        tables.ablation,
        tables.alone,
        tables.speedups,
        tables.thresholds,
        tables.conditions,
        tables.sgemm,
        tables.bound,
        tables.memory,
        tables.self_check,
        lossless.beside,
        lossless.near,
    ):
        assert table(results) == table(example_of(results))


def test_encoded_and_back(results):
    training = results.tuned[SVD_TUNED].training
    assert encode(training) == {"photographs": 40, "measured": {"steps": 700, "seconds": 1200.5}}
    assert decode(Training, encode(training)) == training


def test_they_are_assembled_apart(results):
    steps = {}
    for technique, tuned in results.tuned.items():
        steps |= {
            f"fine-tuning/{technique.name}": encode(tuned.training),
            f"quality/{technique.name}": encode(tuned.quality),
            f"time/{technique.name}": encode(tuned.speed),
            f"memory/{technique.name}": encode(tuned.memory),
        }
    steps["stages"] = encode(StageTimes(results.stages))
    plain = example_of(results)
    assembled = record.assemble(steps | encoded_steps(plain))
    assert assembled.tuned == results.tuned
    assert assembled.stages == results.stages
    assert assembled.quality == plain.quality
    assert assembled.times == plain.times
    assert assembled.memory == plain.memory

"""What `compress` says in words."""

import pytest

from lowrank_sr.commands.compress_report import summary

TOTALS = {
    "flops_before": 200, "flops_after": 100, "theoretical_speedup": 2.0,
    "multiplications_before": 40.0, "multiplications_after": 44.0, "multiplications_speedup": 40 / 44,
    "measured_speedup": 0.9, "speedup_over_direct": 2.5, "bytes_before": 1000, "bytes_after": 500,
}  # fmt: skip
LAYER = {
    "name": "conv_first", "shape": [8, 3, 3], "condition": 2.0, "rank": None, "error": None, "flops_before": 200,
    "flops_after": 200, "chosen": False,
}  # fmt: skip


def said(target, held_out=None, **totals):
    about = {"target": target, "vanished": ["RRDB_trunk.0.RDB1"], "held_out": held_out}
    return summary({**about, "layers": [LAYER], "totals": TOTALS | totals})


def test_every_speedup_says_beside_what():
    text = said("flops")
    assert "2.00 in theory, 0.91 by multiplications" in text
    assert "dense blocks that have vanished, being worth less than they cost: 1" in text
    assert "0.90 over the best exact method, 2.50 over direct" in text


@pytest.mark.parametrize(
    ("target", "option"),
    [
        ("flops", "--target multiplications --speedup 1.4"),
        ("multiplications", "--target measured --speedup 1.4"),
        ("measured", "a larger --speedup"),
    ],
)
def test_a_network_that_is_not_faster_than_an_exact_one_says_so(target, option):
    assert f"not faster than the dense network by its best exact method, which loses nothing. Try {option}." in said(
        target
    )
    assert "not faster" not in said(target, measured_speedup=1.3)


def test_what_errs_on_other_pictures_is_named():
    text = said("flops", {"RRDB_trunk.0": 0.12, "RRDB_trunk.1": 1.6})
    assert "RRDBs err by 12% to 160% of their output on crops that were not fitted to." in text
    assert "Unsafe: RRDB_trunk.1, more than the output varies. Try more pictures, by --calibrate." in text
    assert "Unsafe" not in said("flops", {"RRDB_trunk.0": 0.12})
    assert "not fitted" not in said("flops")

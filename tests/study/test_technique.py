import pytest

from lowrank_sr.study import technique
from lowrank_sr.study.report import style
from lowrank_sr.study.technique import BY_NAME, LOOKS, Technique, compared, finetuned


@pytest.mark.parametrize(
    ("value", "name", "label"),
    [
        (Technique(method="im2col"), "im2col", "im2col + GEMM"),
        (Technique("svd"), "svd", "SVD, kernel"),
        (Technique("svd", "fitted"), "svd fitted", "SVD, fitted"),
        (Technique("svd", "fitted", "winograd"), "svd fitted winograd", "SVD, fitted, F(6, 3)"),
        (Technique("cp", "fitted"), "cp fitted", "CP, fitted"),
        (Technique("svd", "tuned"), "svd tuned", "SVD, fine-tuned"),
        (Technique("cp", "tuned"), "cp tuned", "CP, fine-tuned"),
        (Technique(factors="tuned"), "direct tuned", "dense, fine-tuned"),
        (Technique("svd", layers="marked"), "svd marked", "SVD, kernel, marked layers"),
        (Technique("cp", layers="blocks"), "cp blocks", "CP, kernel, dense blocks"),
        (Technique("svd", layers="outside"), "svd outside", "SVD, kernel, layers outside the blocks"),
        (Technique("svd", "bundled", "winograd"), "svd bundled winograd", "SVD, bundled, F(6, 3)"),
    ],
)
def test_name_and_label(value, name, label):
    assert value.name == name
    assert value.label == label
    assert BY_NAME[name] == value


def test_the_clock_does_not_see_the_factors():
    assert Technique("svd").look.label == Technique("svd", "fitted").look.label == "SVD"
    assert technique.SVD_FITTED_WINOGRAD.look.label == "SVD, F(6, 3)"


def test_names_and_labels_are_unique():
    assert len({value.label for value in BY_NAME.values()}) == len(BY_NAME)


def test_looks_can_be_told_apart():
    """On a light and on a dark page, and without colour."""
    for attribute in ("label", "day", "night", "marker"):
        assert len({getattr(look, attribute) for look in LOOKS}) == len(LOOKS)


def test_a_method_without_a_look_is_drawn_under_its_name():
    new = Technique(method="fft")
    assert new.label == new.look.label == "fft"
    assert new.look.day in style.NIGHT
    assert new.look.marker not in {look.marker for look in LOOKS if look.label}


def test_what_is_compared():
    names = [value.name for value in compared(("cp", "svd", "winograd", "direct"))]
    svd, cp = (["svd", "svd marked", "svd unmarked", "svd fitted"], ["cp", "cp marked", "cp unmarked", "cp fitted"])
    assert names == ["direct", "winograd", *svd, *cp, "svd fitted winograd"]
    assert [value.name for value in compared(("direct", "svd"))] == ["direct", *svd]
    assert [value.name for value in compared(("direct", "svd"), bundled=True)] == ["direct", *svd, "svd bundled"]
    by_winograd = [value.name for value in compared(("winograd", "svd"), bundled=True)][-2:]
    assert by_winograd == ["svd fitted winograd", "svd bundled winograd"]
    assert "svd bundled" not in {value.name for value in compared(("direct", "cp"), bundled=True)}


def test_what_is_finetuned():
    """The dense network always: it says what of a gain is the training's, and what the factors'."""
    assert [value.name for value in finetuned(("direct", "cp", "svd"))] == ["direct tuned", "svd tuned", "cp tuned"]
    assert [value.name for value in finetuned(("direct", "winograd"))] == ["direct tuned"]

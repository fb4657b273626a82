"""A technique: one way to compute the network, and how a reader sees it in tables and figures."""

from dataclasses import dataclass, replace

from lowrank_sr.conv.algorithms import METHODS

DIRECT, WINOGRAD = "direct", "winograd"
FORMS = ("svd", "cp")
# how factors are found; BIAS: a fitted bias alone; BUNDLED: as they come with the package
KERNEL, BIAS, FITTED, TUNED, BUNDLED = "kernel", "bias", "fitted", "tuned", "bundled"
# which layers are factorised
ALL, BLOCKS, OUTSIDE, MARKED, UNMARKED = "all", "blocks", "outside", "marked", "unmarked"
# which ranks: every layer gives up the same share of its FLOPs, or they are where they cost the picture least
UNIFORM, CHOSEN = "uniform", "chosen"
FACTORS = {
    KERNEL: "kernel",
    BIAS: "kernel, bias fitted",
    FITTED: "fitted",
    TUNED: "fine-tuned",
    BUNDLED: "bundled",
}
LAYERS = {
    ALL: "all layers",
    BLOCKS: "dense blocks",
    OUTSIDE: "layers outside the blocks",
    MARKED: "marked layers",
    UNMARKED: "unmarked layers",
}


@dataclass(frozen=True)
class Look:
    """A label where only the time counts, not the factors; colours on a light and on a dark page, marker and line."""

    label: str
    day: str
    night: str
    marker: str
    line: str = "-"


_LOOKS: dict[tuple[str | None, str], Look] = {  # by form and method
    (None, "direct"): Look("direct", "#1b1b20", "#f4f4f6", "o"),
    (None, "im2col"): Look("im2col + GEMM", "#a3a3ab", "#85858f", "s", "--"),
    (None, "kn2row"): Look("kn2row", "#4f8a5b", "#8fcf9c", "D", "-."),
    (None, "winograd"): Look("Winograd", "#7d3f98", "#d3a4ea", "v", ":"),
    ("svd", "direct"): Look("SVD", "#1f5aa6", "#6cb0ff", "^"),
    ("svd", "winograd"): Look("SVD, F(6, 3)", "#1f5aa7", "#6cb0fd", ">"),
    ("cp", "direct"): Look("CP", "#d98218", "#ffc069", "P"),
}
_OF_NEW_METHODS = Look("", "#9c5a3c", "#dba386", "h", "--")  # of all that have no look of their own yet
LOOKS = (*_LOOKS.values(), _OF_NEW_METHODS)


@dataclass(frozen=True)
class Technique:
    """The form of the layers, how their factors are found, which layers have it, and the method that computes them.

    `form` is None for dense layers, "svd" or "cp". `factors` minimise the error of the "kernel", or that of the layers'
    outputs on calibration pictures, "fitted", or come out of a training on photographs, "tuned", which begins with the
    fitted ones, or are those of the network's "bundled" low-rank form; dense layers are as they are, or "tuned".
    `method` computes the dense layers, and the SVD pairs directly or, where it is "winograd", by F(6, 3). `layers` are
    those of this form: "all" that can have it, those in the dense "blocks" or "outside" them, or the poster's recipe in
    its two readings: those whose condition number is above the threshold of Figure 2, which is ours, "marked", or those
    below it, "unmarked".
    """

    form: str | None = None
    factors: str = KERNEL
    method: str = DIRECT
    layers: str = ALL

    @property
    def name(self) -> str:
        """The key in results.json, such as "im2col", "svd fitted" or "svd fitted winograd"."""
        words = [self.form or self.method]
        if self.layers != ALL:
            words.append(self.layers)
        if self.factors != KERNEL:
            words.append(self.factors)
        if self.form is not None and self.method != DIRECT:
            words.append(self.method)
        return " ".join(words)

    @property
    def look(self) -> Look:
        """How figures draw it, however its factors are found."""
        return _LOOKS.get((self.form, self.method)) or replace(_OF_NEW_METHODS, label=self.method)

    @property
    def label(self) -> str:
        """The name in tables and figures: "SVD, fitted, F(6, 3)" or "SVD, kernel, marked layers"."""
        if self.form is None:
            return "dense, fine-tuned" if self.factors == TUNED else self.look.label
        label = f"{_LOOKS[self.form, DIRECT].label}, {FACTORS[self.factors]}"
        if self.layers != ALL:
            label += f", {LAYERS[self.layers]}"
        return label if self.method == DIRECT else f"{label}, F(6, 3)"


REFERENCE = Technique(method=DIRECT)  # what speed-ups are over
IM2COL = Technique(method="im2col")
SVD_KERNEL = Technique("svd")
SVD_FITTED = Technique("svd", FITTED)
SVD_KERNEL_WINOGRAD = Technique("svd", method=WINOGRAD)
SVD_FITTED_WINOGRAD = Technique("svd", FITTED, WINOGRAD)
SVD_BUNDLED = Technique("svd", BUNDLED)
SVD_BUNDLED_WINOGRAD = Technique("svd", BUNDLED, WINOGRAD)
CP_KERNEL = Technique("cp")
CP_FITTED = Technique("cp", FITTED)
DENSE_TUNED = Technique(factors=TUNED)

_DENSE = tuple(Technique(method=method) for method in METHODS)
_LOW_RANK = (SVD_KERNEL, SVD_FITTED, SVD_KERNEL_WINOGRAD, SVD_FITTED_WINOGRAD, CP_KERNEL, CP_FITTED)
_BUNDLED = (SVD_BUNDLED, SVD_BUNDLED_WINOGRAD)
_OF_SOME_LAYERS = tuple(
    Technique(form, layers=layers) for form in FORMS for layers in (BLOCKS, OUTSIDE, MARKED, UNMARKED)
)
_TUNED = (DENSE_TUNED, *(Technique(form, TUNED) for form in FORMS))
BY_NAME = {technique.name: technique for technique in (*_DENSE, *_LOW_RANK, *_BUNDLED, *_OF_SOME_LAYERS, *_TUNED)}


def compared(methods: tuple[str, ...], bundled: bool = False) -> tuple[Technique, ...]:
    """What Table 1 and the figures compare of some `methods` and forms: dense methods first, then low-rank forms.

    `bundled` says whether the network's low-rank form comes with the package.
    """
    dense = [technique for technique in _DENSE if technique.method in methods]
    forms = [form for form in FORMS if form in methods]
    low_rank = [each for form in forms for each in (Technique(form), *recipes(form), Technique(form, FITTED))]
    pairs = [SVD_FITTED, *([SVD_BUNDLED] if bundled else [])] if "svd" in methods else []
    by_winograd = [replace(each, method=WINOGRAD) for each in pairs] if WINOGRAD in methods else []
    return (*dense, *low_rank, *pairs[1:], *by_winograd)


def finetuned(methods: tuple[str, ...]) -> tuple[Technique, ...]:
    """What is trained where a study has photographs: the dense network, and the forms that are among `methods`."""
    return tuple(technique for technique in _TUNED if technique.form is None or technique.form in methods)


def stages(tuned: Technique) -> tuple[Technique, ...]:
    """A fine-tuned technique at the end of what it was before: of the kernel and fitted, or the dense one as it is."""
    factors = (KERNEL, TUNED) if tuned.form is None else (KERNEL, FITTED, TUNED)
    return tuple(replace(tuned, factors=each) for each in factors)


def recipes(form: str) -> tuple[Technique, Technique]:
    """The poster's recipe in its two readings: the kernels of the marked layers, and those of the others."""
    return Technique(form, layers=MARKED), Technique(form, layers=UNMARKED)

"""What a reader needs before the first number: the question, the network, the two factorisations, and the words."""

from dataclasses import dataclass

from lowrank_sr.study.record import Results
from lowrank_sr.study.report.verdict import counted, listed


@dataclass(frozen=True)
class Formula:
    """Equations in LaTeX, beside each other where there is room."""

    equations: tuple[str, ...]


@dataclass(frozen=True)
class Glossary:
    """Words and what they mean here."""

    entries: tuple[tuple[str, str], ...]


QUESTION = (
    "ESRGAN enlarges pictures by a chain of convolutions, which takes seconds on a processor. A poster by Mostafa "
    "Sedky and Tommy Hosmer (University of California, Berkeley), “Low-Rank Approximations for Convolutional Layers in "
    "Super Resolution Applications”, replaces them by cheaper ones of low rank, obtained by the singular value "
    "decomposition (SVD) and by the canonical polyadic decomposition (CP). A count of the operations promises a "
    "speed-up. How much of it arrives on the clock, and what does it cost the picture?"
)
NETWORK = (
    "RRDBNet, the generator of ESRGAN (Wang et al. 2018, arXiv:1809.00219): conv_first; num_block residual-in-residual "
    "blocks of three dense blocks (RDB1 to RDB3), in which each of five convolutions reads everything before it; "
    "trunk_conv; and the tail, which works on the enlarged picture: {tail}. The one studied here has {blocks}, "
    "num_feat {num_feat} channels that grow by num_grow_ch {num_grow_ch} from convolution to convolution within a "
    "dense block, and enlarges {scale} times."
)
CONVOLUTION = (
    "A convolution turns C channels into N. Its kernel W holds a d × d filter for each pair of channels, d = 3 in all "
    "layers here, and each output pixel, in row y and column x, is a sum of d² C products for each of N channels, with "
    "i, j = −1, 0, 1:"
)
SVD = (
    "The SVD pair (Tai et al. 2015, arXiv:1511.06067) is a convolution with K vertical filters, d × 1, and then one "
    "with horizontal filters, 1 × d. Written as a matrix of C d rows and N d columns, the kernel is truncated after "
    "its K largest singular values, which is the nearest matrix of that rank:"
)
CP = (
    "CP (Lebedev et al. 2014, arXiv:1412.6553) writes the kernel as a sum of R products of four vectors: a 1 × 1 "
    "convolution to R channels, one vertical and one horizontal filter for each of them, and a 1 × 1 convolution to N "
    "channels:"
)
BOUND = "The poster expects CP to be nearly d² times as fast at the rank below, since 2 d is small against N + C there:"
WINOGRAD = (
    "What FLOPs do not count is how a sum of products is computed. Winograd's algorithm F(m, r) (Lavin and Gray 2015, "
    "arXiv:1509.09308) gives m outputs of a filter of r taps by m + r − 1 multiplications and more additions, with the "
    "same result up to rounding. F(6 × 6, 3 × 3) computes a dense layer by 64 multiplications where direct "
    "convolution takes 324, and F(6, 3), in one dimension, each half of an SVD pair by 8 instead of 18. Speed-ups “in "
    "theory” are those of the FLOPs; the multiplications that are really done stand beside them."
)
DENSE_FORMULA = Formula(
    (
        r"Y_{yxn} = b_n + \sum_{c,i,j} W_{ncij} \, X_{y+i,\,x+j,\,c}",
        r"\mathrm{FLOPs} = 2\,d^2 N C \, X Y",
    )
)
SVD_FORMULA = Formula(
    (
        r"W_{ncij} \approx \sum_{k=1}^{K} V_{kci} \, H_{nkj}",
        r"\mathrm{FLOPs} = 2\,d\,K\,(C+N)\,X Y",
        r"\text{cheaper where } K < \frac{d N C}{N+C}",
    )
)
CP_FORMULA = Formula(
    (
        r"W_{ncij} \approx \sum_{r=1}^{R} A^{in}_{cr} A^{y}_{ir} A^{x}_{jr} A^{out}_{nr}",
        r"\mathrm{FLOPs} = 2\,R\,(C+2d+N)\,X Y",
    )
)
BOUND_FORMULA = Formula(
    (
        r"R = \frac{N C}{N+C}",
        r"\frac{d^2 N C}{R\,(C+2d+N)} = d^2 \, \frac{N+C}{N+C+2d} \approx d^2",
    )
)
_WORDS = (
    ("kernel", "the weights of a convolution, N × C × d × d; “SVD, kernel”: factors nearest to the kernel itself"),
    (
        "fitted",
        "factors nearest to what the layer computes from calibration pictures, which are not measured on; their "
        "ranks are those that cost the picture least by an estimate from the same pictures",
    ),
    ("rank", "K of an SVD pair or R of CP: how many terms are kept. Half the FLOPs is half the break-even rank"),
    ("FLOPs", "2 for each multiply-add of the formulas above; X × Y is the size of the map in pixels"),
    ("speed-up in theory", "FLOPs of the dense network over those of the low-rank one"),
    ("measured speed-up", "seconds of direct convolution over seconds, both taken in turn"),
    (
        "effective GFLOP/s",
        "FLOPs of the dense network over seconds, whatever was computed: comparable between techniques",
    ),
    ("direct", "nested loops, vectorised, without copies: what speed-ups are over"),
    ("im2col + GEMM", "every pixel's neighbourhood copied into a matrix, d² times the map, and one matrix product"),
    ("kn2row", "a matrix product for each of the d² taps, without that copy"),
    ("Winograd", "F(6 × 6, 3 × 3) for dense layers; “F(6, 3)” for SVD pairs"),
    (
        "condition number",
        "largest over smallest singular value of the kernel as a matrix. The poster marks layers by a threshold of it "
        "and gives no number: ours lies in the widest gap",
    ),
    ("dense block, tail", "RDB1 to RDB3 of a block; {tail}"),
    ("PSNR", "10 log₁₀ of 1 over the mean square error, in dB, on RGB or on luma; 0.1 dB is hard to see"),
    ("SSIM", "likeness of local means, contrasts and structures, at most 1"),
)


def network(results: Results) -> str:
    """The paragraph on the network, with its numbers."""
    net = results.network
    return NETWORK.format(**vars(net), blocks=counted(net.num_block, "block"), tail=listed(_tail(results)))


def words(results: Results) -> Glossary:
    """The glossary."""
    tail = listed(_tail(results))
    return Glossary(tuple((word, meaning.replace("{tail}", tail)) for word, meaning in _WORDS))


def _tail(results: Results) -> list[str]:
    """The layers behind trunk_conv, by name; how many of them enlarge depends on the scale."""
    names = [row.name for row in results.condition_numbers.layers]
    return names[names.index("trunk_conv") + 1 :]

r"""
The tail in bands
=================

ESRGAN works at low resolution until its last four layers, the *tail*, which compute the enlarged picture. There one
feature map needs 4 KB for every pixel of the input: 4 GB for a photograph of one megapixel. Must memory grow with the
picture? This chapter passes the tail's rows on as soon as they are complete, and computes nothing twice.
"""

# %%
# The equation
# ------------
#
# A 3 x 3 convolution computes row :math:`y` of its output from three rows of its input, :math:`y - 1`, :math:`y` and
# :math:`y + 1`. If the input is a map that was first enlarged by a whole number :math:`f` (each row and column repeated
# :math:`f` times, "nearest neighbour"), then row :math:`y` of the enlarged map is row :math:`\lfloor y / f \rfloor` of
# the map before. So
#
# .. math::
#
#    \text{row } y \text{ of the output needs rows }
#    \left\lfloor \frac{y - 1}{f} \right\rfloor \text{ to } \left\lfloor \frac{y + 1}{f} \right\rfloor
#    \text{ of the input.}
#
# Let :math:`H_s` and :math:`W_s` be height and width of stage :math:`s`'s input, :math:`C` its channels, 4 bytes each.
# Kept whole, such a map needs :math:`4 \, C H_s W_s` bytes. Kept as a *window* of :math:`b_s` rows it needs
# :math:`4 \, C b_s W_s`, and three rows are enough.
#
# In plain NumPy
# --------------
#
# Python's generators pass values on one at a time. Here each value is a row of a map, of shape (W, C). A stage takes
# rows from the stage before it, keeps the last three, and yields a row of its output when it can.

import tracemalloc
from statistics import median

import matplotlib.pyplot as plt
import numpy as np

import lowrank_sr as lsr
from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import allocate, from_array, unpadded
from lowrank_sr.conv.methods import convolution
from lowrank_sr.conv.upsampled import upsampled_convolution
from lowrank_sr.conv.winograd import GROUP_BYTES
from lowrank_sr.machine.caches import l2_bytes
from lowrank_sr.machine.cpu import LANES
from lowrank_sr.machine.threads import limited
from lowrank_sr.machine.timing import interleaved
from lowrank_sr.network.tail import Stage, run_tail, tail_bytes

SLOPE = 0.2  # of LeakyReLU below zero


def enlarged(rows):
    """Each row and each column twice."""
    for row in rows:
        yield (wide := row.repeat(2, axis=0))  # (W, C) -> (2 W, C)
        yield wide


def convolved(rows, layer, counter):
    """Rows (W, C) in, rows (W, N) out; `counter` counts the rows that are computed."""
    window = [0 * (first := next(rows)), first]  # zeros above the picture
    for following in rows:
        window.append(following)
        yield row_of_output(window, layer, counter)
        del window[0]  # two rows stay
    window.append(0 * window[-1])  # zeros below the picture
    yield row_of_output(window, layer, counter)


def row_of_output(window, layer, counter):
    counter.append(1)
    padded = np.pad(np.stack(window), ((0, 0), (1, 1), (0, 0)))  # (3, W + 2, C)
    width = padded.shape[1] - 2
    taps = [padded[i, j : j + width] @ layer.weight[:, :, i, j].T for i in range(3) for j in range(3)]
    return sum(taps) + layer.bias  # (W, N)


def leaky(rows):
    for row in rows:
        yield np.maximum(row, SLOPE * row)


# %%
# The tail of an x4 network has four layers: `upconv1` and `upconv2`, each on a map that is enlarged by 2 first, then
# `HRconv` and `conv_last`. We take a network with random weights and 8 channels instead of 64.

net = lsr.RRDBNet.random(num_feat=8, num_block=1, num_grow_ch=8, seed=0)
names = ["upconv1", "upconv2", "HRconv", "conv_last"]
factors = [2, 2, 1, 1]
layers = [net.layers[name] for name in names]

rng = np.random.default_rng(0)
features = rng.standard_normal((96, 64, 8), dtype=np.float32)  # (H, W, C), as the trunk would give them

counters = [[] for _ in names]
rows = iter(features)
for layer, factor, counter in zip(layers, factors, counters, strict=True):
    rows = convolved(enlarged(rows) if factor == 2 else rows, layer, counter)
    if layer is not layers[-1]:
        rows = leaky(rows)
by_rows = np.stack(list(rows))  # (384, 256, 3)

for name, counter, height in zip(names, counters, (192, 384, 384, 384), strict=True):
    print(f"{name:10} computed {len(counter)} rows; its output has {height}")
    assert len(counter) == height  # nothing twice

# %%
# The last line of the pipeline pulls. It asks `conv_last` for a row, which asks `HRconv` for rows, and so on up to the
# features. No stage ever holds more than three rows.
#
# The same through the package
# ----------------------------
#
# :func:`lowrank_sr.network.tail.run_tail` does this with bands of rows instead of single ones, so that each call has
# enough to do for several threads. Rows are convolved in whole tiles of 6, as Winograd's algorithm reads them
# (:doc:`/auto_tour/05_winograd`). No enlarged map is ever written: :mod:`lowrank_sr.conv.upsampled` convolves as if it
# were there, so that the windows of the upconvs hold rows that are not enlarged, and two rows come out for each. A
# :class:`lowrank_sr.network.tail.Stage` is a convolution and how far it enlarges; here each also writes down which rows
# it computes when.


def run_of(layer, factor):
    """The convolution of a map by `layer`, or of what the map would be enlarged by 2."""
    return (upsampled_convolution if factor == 2 else convolution)(layer, "winograd")


def stages_of(layers):
    """The tail's stages, with LeakyReLU in all but the last."""
    stages = []
    for layer, factor in zip(layers, factors, strict=True):
        run = run_of(layer, factor)
        epilogue = Epilogue(layer.bias, slope=1.0 if layer is layers[-1] else SLOPE)
        stages.append(Stage(lambda x, out, run=run, epilogue=epilogue: run(x, out, epilogue), factor))
    return stages


def recorded(stage, log):
    """The stage, which keeps a list of (first row, last row + 1) of what it computes."""

    def convolve(x, out):
        first = log[-1][1] if log else 0
        log.append((first, first + out.height))
        stage.convolution(x, out)

    return Stage(convolve, stage.factor)


logs = [[] for _ in names]
stages = [recorded(stage, log) for stage, log in zip(stages_of(layers), logs, strict=True)]
by_bands = np.empty((384, 256, 3), np.float32)
run_tail(from_array(features), stages, by_bands)

difference = np.abs(by_bands - by_rows).max()
print(f"largest difference {difference:.1e}, largest value {np.abs(by_rows).max():.2f}")
# Four layers in float32, each off by its rounding (eps 1.2e-7) times what Winograd's transforms multiply it by, some
# tens (chapter 5). Values that grow and shrink from layer to layer keep their relative error.
assert difference < 1e-5 * np.abs(by_rows).max()

for name, log, height in zip(names, logs, (192, 384, 384, 384), strict=True):
    print(f"{name:10} rows {', '.join(f'{first}-{last - 1}' for first, last in log)}")
    assert log[-1][1] == height  # nothing twice, and nothing is missing

# %%
# Look at the first run of each stage. `upconv1` has received the first band but stops short of its last rows, because
# those need the next band. `upconv2` has less than that to work with, and so on. What a stage could not compute yet it
# computes with the next band, from rows that waited in its window.
#
# Peak memory, with and without
# -----------------------------
#
# Now the tail of `psnr-small`, with its 64 channels. Without bands each layer runs over its whole input, and a map is
# dropped as soon as nothing needs it. Even so two maps of the output's resolution exist at the same time, the input of
# `HRconv` and its output: 8 KB for each pixel of low resolution. `tracemalloc` counts what NumPy and the compiled loops
# allocate, at its peak. The result, the features and the kernels are not counted: both ways need them.

small = lsr.load("psnr-small")
tail = [small.layers[name] for name in names]
runs = [run_of(layer, factor) for layer, factor in zip(tail, factors, strict=True)]
ready = stages_of(tail)


def whole(features, out):
    """The tail, one whole map after the other."""
    x = features
    for layer, factor, run in zip(tail, factors, runs, strict=True):
        last = layer is tail[-1]
        y = unpadded(out) if last else allocate(factor * x.height, factor * x.width, len(layer.bias))
        run(x, y, Epilogue(layer.bias, slope=1.0 if last else SLOPE))
        x = y


def in_bands(features, out):
    """The tail in bands."""
    run_tail(features, ready, out)


def peak(run, height, width=64):
    """Megabytes allocated at the peak, for features of this size."""
    features = from_array(rng.standard_normal((height, width, 64), dtype=np.float32))
    out = np.empty((4 * height, 4 * width, 3), np.float32)
    with limited(1):  # each thread has its workspace, here one
        tracemalloc.start()
        run(features, out)
    result = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return result


heights = [16, 32, 64, 128, 256]
for run in (whole, in_bands):
    peak(run, 16)  # the first call transforms the kernels, and compiles or loads what is compiled
measured = {run: [peak(run, height) for height in heights] for run in (whole, in_bands)}
for height, a, b in zip(heights, *measured.values(), strict=True):
    print(f"{height:4} x 64 pixels: whole maps {a:6.1f} MB, in bands {b:6.1f} MB")

# What the package says before it starts, so that a picture which does not fit is cut into tiles:
announced = [tail_bytes(height, 64, 64, factors) / 1e6 for height in heights]
# Beyond the maps there is now one thing, now another: the transforms of a block of tiles, as many as fit the
# second-level cache and at least one group, and a copy of the rows that wait, at most 8, on their way to the top of
# their window. A group's tiles have C + N = 128 channels. What is small stays below 0.1 MB.
block = max(l2_bytes(), (64 + 64) // LANES * GROUP_BYTES) / 1e6
waiting = 4 * 8 * (4 * 64 + 2) * 64 / 1e6
for got, said in zip(measured[in_bands], announced, strict=True):
    assert said <= got <= said + max(block, waiting) + 0.1

# %%
# In the figure, the left panel shows the runs of rows from above. Each stage's bars begin where the bar before ended:
# nothing is computed twice, and nothing is missing. The right panel shows the peaks. Whole maps grow with the height of
# the picture. Windows do not, once the picture is higher than a band. For a picture that fits into one band they need
# more: every stage has its window at the same time, where whole maps can be dropped. And they grow with the width of
# the picture once a band is as flat as it may become, 6 rows of features; then tiles of limited width help
# (:func:`lowrank_sr.enlarge`).

fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.8), layout="constrained")
greys = ["0.25", "0.5", "0.75"]
for place, log in enumerate(logs):
    for turn, (first, last) in enumerate(log):
        share = 100 / log[-1][1]
        left.bar(
            place, (last - first) * share, bottom=first * share, width=0.7,
            color=greys[turn % 3], hatch=["", "//", ".."][turn % 3], edgecolor="white",
            label=f"band {turn + 1}" if place == 0 else None,
        )  # fmt: skip
left.set_xticks(range(4), names)
left.set(ylabel="rows of the output, % from the top", title="which rows are computed with which band", ylim=(128, 0))
left.set_yticks(range(0, 101, 20))
left.legend(loc="lower center", ncols=3, fontsize=9)

right.plot(heights, measured[whole], "ks--", label="whole maps")
right.plot(heights, measured[in_bands], "ko-", label="in bands")
right.plot(heights, announced, "wo", markersize=3, markeredgecolor="0.6", label="announced by tail_bytes")
right.set_xscale("log", base=2)
right.set_yscale("log")
right.set_xticks(heights, [str(height) for height in heights])
right.set_yticks([10, 20, 50, 100, 200], ["10", "20", "50", "100", "200"])
right.set(xlabel="height of the input, pixels (width 64)", ylabel="peak, MB", title="memory of the tail")
right.grid(color="0.9")
right.legend(fontsize=9)
plt.show()

# %%
# What the clock says
# -------------------
#
# Both ways do the same multiplications. Bands save the system from handing out and clearing fresh memory, and what a
# stage has just written is still in a large cache when the next one reads it. Against that, each call of a convolution
# has less to do, and rows that wait are copied to the top of their window. Which weighs more depends on the machine:
# the ratio may come out on either side of 1. It will not be far from it.

picture = from_array(rng.standard_normal((64, 64, 64), dtype=np.float32))
result = np.empty((256, 256, 3), np.float32)
with limited(1):
    times = interleaved({"whole": lambda: whole(picture, result), "bands": lambda: in_bands(picture, result)})
ratio = median(a / b for a, b in zip(times["whole"], times["bands"], strict=True))
print(f"whole maps take {ratio:.2f} times as long as bands")

# %%
# Exercises
# ---------
#
# **1.** There is a more common way to save memory: cut the features into strips, run the whole tail over each, with as
# many extra rows above and below as its outermost output rows depend on. How many rows of features are these? What does
# that cost, in rows that are computed twice, for strips of 8 rows?
#
# .. dropdown:: Solution
#
#    .. literalinclude:: /tour/solutions/07_tail_in_bands_a.py
#
# **2.** Write `convolved` for kernels of any odd size d. How many rows does the window hold?
#
# .. dropdown:: Solution
#
#    .. literalinclude:: /tour/solutions/07_tail_in_bands_b.py
#
# References
# ----------
#
# - The network whose tail this is: :cite:p:`wang2018`.
# - That data should still be in the cache when it is read again is the idea behind fast matrix products as well:
#   :cite:p:`goto2008`.

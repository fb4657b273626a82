"""What a compressed network's `meta["compression"]` says: how it was made, totals, and a row for each layer."""

import math
from collections.abc import Mapping
from typing import Any

from lowrank_sr import flops
from lowrank_sr.network.multiplications import multiplications_per_pixel
from lowrank_sr.network.rrdbnet import RRDBNet


def describe(
    net: RRDBNet, small: RRDBNet, conditions: Mapping[str, float], errors: Mapping[str, float]
) -> dict[str, Any]:
    """What became of `net` in `small`: numbers, strings and None only, as JSON allows them.

    `totals`, the dense blocks that have `vanished`, and `layers`. `conditions` are the condition numbers of all of
    `net`'s kernels, `errors` those of the factorised layers. FLOPs and multiplications are for each pixel of the image.
    """
    before, after = multiplications_per_pixel(net), multiplications_per_pixel(small)
    return {
        "totals": {
            "flops_before": net.flops_per_pixel,
            "flops_after": small.flops_per_pixel,
            "theoretical_speedup": net.flops_per_pixel / small.flops_per_pixel,
            "multiplications_before": before,
            "multiplications_after": after,
            "multiplications_speedup": before / after,
        },
        "vanished": [block for block in net.architecture.dense_blocks() if block in small.vanished],
        "layers": [_row(net, small, name, conditions[name], errors.get(name)) for name in net.layers],
    }


def _row(net: RRDBNet, small: RRDBNet, name: str, condition: float, error: float | None) -> dict[str, Any]:
    before, after = net.layers[name], small.layers[name]
    return {
        "name": name,
        "shape": list(before.shape),
        "condition": condition if math.isfinite(condition) else None,
        "rank": after.rank,
        "error": error,
        "flops_before": flops.per_pixel(before) * net.architecture.area(name),
        "flops_after": flops.per_pixel(after) * net.architecture.area(name),
        "chosen": after.rank is not None,
    }

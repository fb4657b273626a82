"""The network's layers and what the singular values of their kernels say: Figure 2."""

import math
from itertools import pairwise

from lowrank_sr.lowrank.conditioning import select, spectrum
from lowrank_sr.lowrank.svd import singular_values
from lowrank_sr.network.rrdbnet import RRDBNet


def network(net: RRDBNet) -> dict:
    """What the network is."""
    design = net.architecture
    return {
        "scale": net.scale,
        "num_feat": design.num_feat,
        "num_block": design.num_block,
        "num_grow_ch": design.num_grow_ch,
        "layers": len(net.layers),
        "parameters": net.parameters,
        "flops_per_pixel": net.flops_per_pixel,
    }


def condition_numbers(net: RRDBNet) -> dict:
    """Every layer's condition number and the rank for 90% of the energy; the threshold, and the layers it marks."""
    spectra = {name: spectrum(singular_values(layer.kernel())) for name, layer in net.layers.items()}
    kappas = {name: min(each.condition, 1e12) for name, each in spectra.items()}  # JSON knows no infinity
    threshold = widest_gap(list(kappas.values()))
    marked = select(kappas, threshold)
    rows = []
    for name, layer in net.layers.items():
        n, c, d = layer.shape
        full, rank = d * min(n, c), spectra[name].rank_90
        row = {"name": name, "shape": [n, c, d], "condition": kappas[name], "marked": name in marked}
        rows.append({**row, "rank_90": rank, "full_rank": full, "rank_90_percent": 100 * rank / full})
    return {"threshold": threshold, "marked": marked, "layers": rows}


def widest_gap(kappas: list[float]) -> float:
    """A threshold in the widest gap between condition numbers, on a logarithmic scale: where a reader would draw it."""
    ordered = sorted(kappas)
    below, above = max(pairwise(ordered), key=lambda pair: pair[1] / pair[0])
    return math.sqrt(below * above)

"""What a network is made of."""

from lowrank_sr import flops
from lowrank_sr.layers import CP, Layer, Separable
from lowrank_sr.network import auto
from lowrank_sr.network.auto import AUTO, concrete
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.text import table


def describe(net: RRDBNet, name: str) -> dict:
    """The network's numbers and each layer's representation, (N, C, d), rank, parameters and FLOPs an input pixel."""
    design = net.architecture
    layers = [
        {
            "name": layer_name,
            "representation": type(layer).__name__,
            "shape": list(layer.shape),
            "rank": layer.rank,
            "parameters": layer.parameters,
            "flops_per_pixel": flops.per_pixel(layer) * net.area(layer_name),
            **_computed(net.method, layer),
        }
        for layer_name, layer in net.layers.items()
    ]
    return {
        "network": name,
        "scale": net.scale,
        "num_feat": design.num_feat,
        "num_block": design.num_block,
        "num_grow_ch": design.num_grow_ch,
        "in_channels": design.in_channels,
        "out_channels": design.out_channels,
        "parameters": net.parameters,
        "flops_per_pixel": net.flops_per_pixel,
        "meta": net.meta,
        "layers": layers,
    }


def _computed(method: str, layer: Layer) -> dict:
    """The method that computes a layer, where there are several, and, where it was timed, the GFLOP/s of all."""
    if isinstance(layer, CP):
        return {}
    if method != AUTO or isinstance(layer, Separable):
        return {"method": concrete(layer, method)}
    work = flops.per_pixel(layer) * auto.TIMING_SIDE**2
    gflops = {name: work / seconds / 1e9 for name, seconds in auto.seconds_by_method(layer.shape).items()}
    return {"method": concrete(layer, method), "gflops": gflops}


def summary(description: dict) -> str:
    """`describe`'s result as text."""
    rows = [
        [
            layer["name"],
            layer["representation"],
            " x ".join(map(str, layer["shape"])),
            "-" if layer["rank"] is None else str(layer["rank"]),
            f"{layer['parameters']:,}",
            f"{layer['flops_per_pixel']:,.0f}",
            layer.get("method", "-"),
            *(f"{gflops:.0f}" for gflops in layer.get("gflops", {}).values()),
        ]
        for layer in description["layers"]
    ]
    about = "{network}: RRDBNet x{scale}, {num_feat} features, {num_block} blocks, growth {num_grow_ch}".format(
        **description
    )
    totals = "{parameters:,} parameters, {flops_per_pixel:,.0f} FLOPs for each pixel of the input".format(**description)
    header = ["layer", "representation", "N x C x d", "rank", "parameters", "FLOPs/pixel", "method"]
    measured = next((list(layer["gflops"]) for layer in description["layers"] if "gflops" in layer), [])
    header += [f"{method} GFLOP/s" for method in measured]
    rows = [row + [""] * (len(header) - len(row)) for row in rows]
    return "\n".join(
        [about, totals, *map(str, filter(None, [description["meta"].get("source")])), "", table(header, rows)]
    )

"""The command `info`: what a network is made of; which networks are bundled."""

import argparse
from typing import Any

from lowrank_sr import flops
from lowrank_sr.commands.options import (
    NETWORK_HELP,
    add_json,
    add_method,
    add_threads,
    given_path,
    load_network,
    network_name,
    report,
)
from lowrank_sr.conv import timing
from lowrank_sr.conv.algorithms import algorithms_of
from lowrank_sr.layers import Dense
from lowrank_sr.network import auto
from lowrank_sr.network.auto import AUTO, check_method
from lowrank_sr.network.rrdbnet import RRDBNet, load
from lowrank_sr.resources import NETWORKS, weights_file
from lowrank_sr.text import table


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_method(parser)
    add_threads(parser)
    parser.add_argument("weights", nargs="?", type=given_path, metavar="WEIGHTS", help=NETWORK_HELP)
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Describe the network, or list the bundled ones."""
    if options.weights is None:
        check_method(options.method, "--method")
        bundled = [_entry(name) for name in NETWORKS]
        report(_listed(bundled), bundled, options.json)
        return
    net = load_network(options.weights, options.method)
    description = describe(net, network_name(options.weights))
    report(summary(description), description, options.json)


def _entry(name: str) -> dict[str, Any]:
    """What the list says of a bundled network."""
    net = load(name)
    return {
        "network": name,
        "scale": net.scale,
        "num_block": net.architecture.num_block,
        "parameters": net.parameters,
        "bytes": weights_file(name).stat().st_size,
        "description": NETWORKS[name],
    }


def _listed(bundled: list[dict[str, Any]]) -> str:
    header = ["bundled network", "scale", "blocks", "parameters", "MB"]
    rows = [
        [
            entry["network"],
            f"x{entry['scale']}",
            str(entry["num_block"]),
            f"{entry['parameters']:,}",
            f"{entry['bytes'] / 1e6:.1f}",
        ]
        for entry in bundled
    ]
    purposes = "\n".join(f"{entry['network']}: {entry['description']}" for entry in bundled)
    return f"{table(header, rows)}\n\n{purposes}"


def describe(net: RRDBNet, name: str) -> dict[str, Any]:
    """The network's numbers and each layer's representation, (N, C, d), rank, parameters and FLOPs an input pixel."""
    design = net.architecture
    layers = [
        {
            "name": layer_name,
            "representation": type(layer).__name__,
            "shape": list(layer.shape),
            "rank": layer.rank,
            "parameters": layer.parameters,
            "flops_per_pixel": flops.per_pixel(layer) * net.architecture.area(layer_name),
            **_computation(net, layer_name),
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


def _computation(net: RRDBNet, name: str) -> dict[str, Any]:
    """The method that computes a layer, where there are several, and, where it was timed, the GFLOP/s of all."""
    layer, method = net.layers[name], net.methods[name]
    if len(algorithms_of(type(layer))) == 1:
        return {}
    if net.method != AUTO or not isinstance(layer, Dense):
        return {"method": method}
    layer_flops = flops.per_pixel(layer) * timing.SIDE**2
    gflops = {each: layer_flops / seconds / 1e9 for each, seconds in auto.seconds_by_method(layer.shape).items()}
    return {"method": method, "gflops": gflops}


def summary(description: dict[str, Any]) -> str:
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
    title = "{network}: RRDBNet x{scale}, {num_feat} features, {num_block} blocks, growth {num_grow_ch}"
    totals = "{parameters:,} parameters, {flops_per_pixel:,.0f} FLOPs for each pixel of the input"
    about = [title.format(**description), totals.format(**description)]
    source = description["meta"].get("source")
    if source:
        about.append(str(source))
    header = ["layer", "representation", "N x C x d", "rank", "parameters", "FLOPs/pixel", "method"]
    timed_methods = next((list(layer["gflops"]) for layer in description["layers"] if "gflops" in layer), [])
    header += [f"{method} GFLOP/s" for method in timed_methods]
    rows = [row + [""] * (len(header) - len(row)) for row in rows]
    return "\n".join([*about, "", table(header, rows)])

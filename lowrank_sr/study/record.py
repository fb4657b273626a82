"""results.json: what each step of `run.py` measured, under the step's name; and `Results`, made from all of them.

It is written after every step, so that an interrupted study goes on.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from lowrank_sr.files import write_json
from lowrank_sr.study.encoding import FORMAT, decode, encode
from lowrank_sr.study.measure.crops import Crop
from lowrank_sr.study.measure.full_size import FullSize
from lowrank_sr.study.measure.layers import LayerTimes, Sgemm
from lowrank_sr.study.measure.networks import Memory, Quality, Times
from lowrank_sr.study.measure.spectra import ConditionNumbers, Network
from lowrank_sr.study.measure.sweeps import SpeedupPoint, ThresholdPoint, TruncationPoint
from lowrank_sr.study.report.poster import TABLE1
from lowrank_sr.study.technique import BY_NAME, Technique

T = TypeVar("T")


@dataclass(frozen=True)
class Results:
    """Everything that a study measures; `layers` by the layer's name."""

    network: Network
    condition_numbers: ConditionNumbers
    speedups: tuple[SpeedupPoint, ...]
    thresholds: tuple[ThresholdPoint, ...]
    truncations: tuple[TruncationPoint, ...]
    bicubic: Quality
    quality: dict[Technique, Quality]
    times: Times
    memory: dict[Technique, Memory]
    crop: Crop
    sgemm: Sgemm
    layers: dict[str, LayerTimes]
    full_size: FullSize | None


def assemble(steps: dict[str, Any]) -> Results:
    """The results of a study from all its steps, encoded, by the names that `run.steps` gives them."""

    def group(kind: type[T], prefix: str) -> dict[str, T]:
        named = {name.removeprefix(prefix): value for name, value in steps.items() if name.startswith(prefix)}
        return {name: decode(kind, value) for name, value in named.items()}

    def by_technique(kind: type[T], prefix: str) -> dict[Technique, T]:
        return {BY_NAME[name]: value for name, value in group(kind, prefix).items() if name in BY_NAME}

    return Results(
        network=decode(Network, steps["network"]),
        condition_numbers=decode(ConditionNumbers, steps["condition numbers"]),
        speedups=tuple(group(SpeedupPoint, "speed-up/").values()),
        thresholds=tuple(group(ThresholdPoint, "threshold/").values()),
        truncations=tuple(group(TruncationPoint, "truncation/").values()),
        bicubic=decode(Quality, steps["quality/bicubic"]),
        quality=by_technique(Quality, "quality/"),
        times=decode(Times, steps["time"]),
        memory=by_technique(Memory, "memory/"),
        crop=decode(Crop, steps["crop"]),
        sgemm=decode(Sgemm, steps["sgemm"]),
        layers=group(LayerTimes, "layer/"),
        full_size=decode(FullSize, steps["full size"]) if "full size" in steps else None,
    )


def read(path: Path, fingerprint: str) -> dict[str, Any]:
    """The encoded steps in `path`, by name; none where there is no such file or its fingerprint is another."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return dict(content["steps"]) if content["fingerprint"] == fingerprint else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def write(
    path: Path,
    fingerprint: str,
    settings: dict[str, Any],
    machine: dict[str, Any],
    steps: dict[str, Any],
    claims: Sequence[object] = (),
) -> None:
    """Write the encoded `steps` and what they belong to; raises InputError where `path` cannot be written.

    Whatever depends on the clock or on the machine stands under keys named `measured`.
    """
    content = {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "settings": settings,
        "measured": {"machine": machine},
        "steps": steps,
        "poster": encode(TABLE1),
        "claims": encode(claims),
    }
    write_json(path, content)

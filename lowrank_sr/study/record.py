"""results.json: what each step of `run.py` measured, under the step's name; and `Results`, made from all of them.

It is written after every step, so that an interrupted study goes on. Beside each step stand two digests: of what it was
measured from, so that what has changed is measured again, and of what it found, so that an edited one is, too.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from lowrank_sr.errors import InputError
from lowrank_sr.files import finite, write_json
from lowrank_sr.study.encoding import FORMAT, decode, encode
from lowrank_sr.study.measure.ablation import Ablated, Alone
from lowrank_sr.study.measure.crops import Crop
from lowrank_sr.study.measure.full_size import FullSizeTime
from lowrank_sr.study.measure.layers import LayerTimes, Sgemm
from lowrank_sr.study.measure.memory import Memory
from lowrank_sr.study.measure.networks import Training
from lowrank_sr.study.measure.quality import Quality
from lowrank_sr.study.measure.spectra import ConditionNumbers, Network
from lowrank_sr.study.measure.speed import Speed, SpeedAndSize, StageTimes, Timing
from lowrank_sr.study.measure.sweeps import LimitPoint, SpeedupPoint, ThresholdPoint, TruncationPoint
from lowrank_sr.study.technique import BY_NAME, CP_KERNEL, IM2COL, REFERENCE, SVD_KERNEL, Technique
from lowrank_sr.text import complain

T = TypeVar("T")

POSTER = {  # the poster's own Table 1: PSNR in dB and SSIM of one picture that it does not name
    REFERENCE: {"psnr": 23.27, "ssim": 0.64},
    IM2COL: {"psnr": 23.27, "ssim": 0.64},
    SVD_KERNEL: {"psnr": 23.31, "ssim": 0.68},
    CP_KERNEL: {"psnr": 22.99, "ssim": 0.63},
}


@dataclass(frozen=True)
class Tuned:
    """A fine-tuned network: its training, and what Table 1 says of it."""

    training: Training
    quality: Quality
    speed: SpeedAndSize
    memory: Memory


@dataclass(frozen=True)
class Results:
    """Everything that a study measures; `layers` by the layer's name, `repeats` the times of some techniques again.

    What is fine-tuned stands apart, under `tuned` and `stages`: nothing else depends on whether there are photographs.
    """

    network: Network
    condition_numbers: ConditionNumbers
    ablation: tuple[Ablated, ...]
    alone: tuple[Alone, ...]
    speedups: tuple[SpeedupPoint, ...]
    thresholds: tuple[ThresholdPoint, ...]
    truncations: tuple[TruncationPoint, ...]
    limits: tuple[LimitPoint, ...]
    bicubic: Quality
    quality: dict[Technique, Quality]
    times: dict[Technique, SpeedAndSize]
    repeats: dict[Technique, Speed]
    memory: dict[Technique, Memory]
    crop: Crop
    sgemm: Sgemm
    layers: dict[str, LayerTimes]
    full_size: dict[Technique, FullSizeTime]
    tuned: dict[Technique, Tuned]
    stages: dict[Technique, Speed]

    @property
    def side(self) -> int:
        """Of the picture, in pixels, that every technique is timed on."""
        return next(iter(self.times.values())).side

    def timings(self, technique: Technique) -> list[Timing]:
        """Every time that this study took of a technique's network on the same picture, in order."""
        first, again = self.times[technique], self.repeats.get(technique)
        swept = [point.network for point in self.speedups if point.technique == technique and point.network]
        # the sweep of speed-ups measures the networks of Table 1, too
        same = [network.measured.direct for network in swept if network.gflop == first.gflop]
        return [first.measured, *([again.measured] if again else []), *same]


class Step(NamedTuple):
    """What a step found, encoded, and the digest of what it was measured from."""

    inputs: str
    found: Any


def assemble(steps: dict[str, Any]) -> Results:
    """The results of a study from all its steps, encoded, by the names that `run.steps` gives them."""

    def group(kind: type[T], prefix: str) -> dict[str, T]:
        named = {name: value for name, value in steps.items() if name.startswith(prefix)}
        return {name.removeprefix(prefix): decode(kind, value) for name, value in named.items()}

    def by_technique(kind: type[T], prefix: str) -> dict[Technique, T]:
        return {BY_NAME[name]: value for name, value in group(kind, prefix).items() if name in BY_NAME}

    quality, times = by_technique(Quality, "quality/"), by_technique(SpeedAndSize, "time/")
    memory = by_technique(Memory, "memory/")
    tuned = {
        technique: Tuned(training, quality.pop(technique), times.pop(technique), memory.pop(technique))
        for technique, training in by_technique(Training, "fine-tuning/").items()
    }
    return Results(
        network=decode(Network, steps["network"]),
        condition_numbers=decode(ConditionNumbers, steps["condition numbers"]),
        ablation=tuple(group(Ablated, "ablation/").values()),
        alone=tuple(group(Alone, "alone/").values()),
        speedups=tuple(group(SpeedupPoint, "speed-up/").values()),
        thresholds=tuple(group(ThresholdPoint, "threshold/").values()),
        truncations=tuple(group(TruncationPoint, "truncation/").values()),
        limits=tuple(group(LimitPoint, "limit/").values()),
        bicubic=decode(Quality, steps["quality/bicubic"]),
        quality=quality,
        times=times,
        repeats=by_technique(Speed, "self-check/"),
        memory=memory,
        crop=decode(Crop, steps["crop"]),
        sgemm=decode(Sgemm, steps["sgemm"]),
        layers=group(LayerTimes, "layer/"),
        full_size=by_technique(FullSizeTime, "full size/"),
        tuned=tuned,
        stages=decode(StageTimes, steps["stages"]).techniques if "stages" in steps else {},
    )


def read(path: Path, identity: dict[str, str]) -> dict[str, Step]:
    """The steps in `path` by name, but for those that have been edited; none where there is no such file.

    A file that cannot be understood is renamed, and one sentence says so, as one does for every step left out. Raises
    InputError where the file cannot be read, or is of a study of another `identity`.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError:
        text = ""
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        content = json.loads(text)
        version, theirs = content["format"], dict(content.get("identity", {}))
        steps = {name: (dict(content.get("keys", {}).get(name, {})), found) for name, found in content["steps"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        complain(f"{path}: is damaged: it is kept as {set_aside(path).name}, and the study starts anew")
        return {}
    differences = [f"{key} {theirs.get(key)}, here {ours}" for key, ours in identity.items() if theirs.get(key) != ours]
    if version != FORMAT:
        differences = ["it is of another version of lowrank-sr"]
    if differences:
        raise InputError(
            f"{path.parent} holds another study: {'; '.join(differences)}: expected another folder, or --fresh, which "
            f"keeps its {path.name} under another name"
        )
    known = {}
    for name, (key, found) in steps.items():
        if key.get("found") == digest(found):
            known[name] = Step(str(key.get("inputs")), found)
        else:
            complain(f"{path}: the step {name!r} has been changed: it is measured again")
    return known


def set_aside(path: Path) -> Path:
    """Rename `path`, results.json, to the first of results-1.json, results-2.json, ... that is free; return that."""
    number = 1
    while (free := path.with_name(f"{path.stem}-{number}{path.suffix}")).exists():
        number += 1
    try:
        return path.rename(free)
    except OSError as error:
        raise InputError(f"{path}: cannot be renamed to {free.name}: {error.strerror}") from error


def digest(value: object) -> str:
    """Of a value as JSON."""
    return hashlib.sha256(json.dumps(finite(value), sort_keys=True).encode()).hexdigest()[:16]


def write(
    path: Path,
    identity: dict[str, str],
    settings: dict[str, Any],
    machine: dict[str, Any],
    steps: dict[str, Step],
    claims: Sequence[object] = (),
) -> None:
    """Write the `steps` and what they belong to; raises InputError where `path` cannot be written.

    Whatever depends on the clock or on the machine stands under keys named `measured`, but for the quality of
    fine-tuned networks: how far their training comes in its minutes depends on the machine.
    """
    content = {
        "format": FORMAT,
        "identity": identity,
        "settings": settings,
        "measured": {"machine": machine},
        "steps": {name: step.found for name, step in steps.items()},
        "keys": {name: {"inputs": step.inputs, "found": digest(step.found)} for name, step in steps.items()},
        "poster": encode(POSTER),
        "claims": encode(claims),
    }
    write_json(path, content)

"""results.json: what each step of `run.py` measured, under the step's name; and `Results`, made from all of them.

It is written after every step, so that an interrupted study goes on. Beside each step stand two digests: of what it was
measured from, so that what has changed is measured again, and of what it found, so that an edited one is, too.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from lowrank_sr.errors import InputError
from lowrank_sr.files import finite, write_json
from lowrank_sr.study.encoding import FORMAT, decode, encode
from lowrank_sr.study.measure.ablation import Ablated, Alone
from lowrank_sr.study.measure.crops import Crop
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
    """Everything that a study measures of a network; `layers` by the layer's name, `repeats` the times of some
    techniques again, `blurs` the dense network's pictures blurred, by the standard deviation in pixels.

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
    blurs: dict[str, Quality]
    quality: dict[Technique, Quality]
    times: dict[Technique, SpeedAndSize]
    repeats: dict[Technique, Speed]
    memory: dict[Technique, Memory]
    crop: Crop
    sgemm: Sgemm
    layers: dict[str, LayerTimes]
    tuned: dict[Technique, Tuned]
    stages: dict[Technique, Speed]

    @property
    def side(self) -> int:
        """Of the picture, in pixels, that every technique is timed on."""
        return next(iter(self.times.values())).side

    def gains(self, quality: Quality, measure: str) -> list[float]:
        """What each picture gains over the dense network's, of "psnr_rgb" in dB or of "ssim_rgb"."""
        pairs = zip(quality.pictures, self.quality[REFERENCE].pictures, strict=True)
        return [float(getattr(after, measure) - getattr(before, measure)) for after, before in pairs]

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


class Part(NamedTuple):
    """What results.json holds of one network: what it was measured with, where and when last, and what was found."""

    identity: dict[str, str]
    settings: dict[str, Any]
    origin: dict[str, Any]
    steps: dict[str, Step]
    claims: Sequence[object] = ()


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
        blurs=group(Quality, "blur/"),
        quality=quality,
        times=times,
        repeats=by_technique(Speed, "self-check/"),
        memory=memory,
        crop=decode(Crop, steps["crop"]),
        sgemm=decode(Sgemm, steps["sgemm"]),
        layers=group(LayerTimes, "layer/"),
        tuned=tuned,
        stages=decode(StageTimes, steps["stages"]).techniques if "stages" in steps else {},
    )


def read(path: Path, identities: Mapping[str, dict[str, str]]) -> dict[str, Part]:
    """What `path` holds of each network, but for steps that have been edited; nothing where there is no such file.

    A file that cannot be understood is renamed, and one sentence says so, as one does for every step left out. Raises
    InputError where the file cannot be read, or holds one of the networks `identities` with another identity.
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
        ours = content["format"] == FORMAT
        found = {name: _parsed(part) for name, part in content["networks"].items()} if ours else {}
    except (ValueError, KeyError, TypeError, AttributeError):
        complain(f"{path}: is damaged: it is kept as {set_aside(path).name}, and the study starts anew")
        return {}
    if not ours:
        raise _another(path, "it is of another version of lowrank-sr")
    for name, (part, _) in found.items():
        theirs, own = part.identity, identities.get(name, {})
        differences = [
            f"{key} {theirs.get(key)}, here {value}" for key, value in own.items() if theirs.get(key) != value
        ]
        if differences:
            raise _another(path, "; ".join(differences))
    return {name: _unchanged(path, name, *each) for name, each in found.items()}


def _parsed(part: dict[str, Any]) -> tuple[Part, dict[str, str]]:
    """What the file says of a network, and its steps' digests of what they found."""
    keys = {step: dict(key) for step, key in part["keys"].items()}
    steps = {step: Step(str(keys.get(step, {}).get("inputs")), found) for step, found in part["steps"].items()}
    found = {step: str(key.get("found")) for step, key in keys.items()}
    identity, settings, measured = (dict(part[of]) for of in ("identity", "settings", "measured"))
    return Part(identity, settings, measured, steps, list(part["claims"])), found


def _unchanged(path: Path, name: str, part: Part, digests: dict[str, str]) -> Part:
    """`part` but for the steps that are not as they were written."""
    kept = {}
    for step, of in part.steps.items():
        if digests.get(step) == digest(of.found):
            kept[step] = of
        else:
            complain(f"{path}: the step {step!r} of {name} has been changed: it is measured again")
    return part._replace(steps=kept)


def _another(path: Path, why: str) -> InputError:
    return InputError(
        f"{path.parent} holds another study: {why}: expected another folder, or --fresh, which keeps its {path.name} "
        "under another name"
    )


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


def write(path: Path, parts: Mapping[str, Part]) -> None:
    """Write what is known of each network; raises InputError where `path` cannot be written.

    Whatever depends on the clock or on the machine stands under keys named `measured`, but for the quality of
    fine-tuned networks: how far their training comes in its minutes depends on the machine.
    """
    content = {
        "format": FORMAT,
        "poster": encode(POSTER),
        "networks": {
            name: {
                "identity": part.identity,
                "settings": part.settings,
                "measured": part.origin,
                "claims": encode(part.claims),
                "steps": {step: of.found for step, of in part.steps.items()},
                "keys": {step: {"inputs": of.inputs, "found": digest(of.found)} for step, of in part.steps.items()},
            }
            for name, part in parts.items()
        },
    }
    write_json(path, content)

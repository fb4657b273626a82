"""The training of a fine-tuned network, and all that is measured of it."""

from dataclasses import dataclass

from lowrank_sr.study.measure import networks, speed
from lowrank_sr.study.measure.memory import Memory
from lowrank_sr.study.measure.quality import Quality
from lowrank_sr.study.measure.speed import Speed, SpeedAndSize
from lowrank_sr.study.settings import Study
from lowrank_sr.study.technique import Technique, stages


@dataclass(frozen=True)
class Done:
    """The steps of a training, and the seconds that they took."""

    steps: int
    seconds: float


@dataclass(frozen=True)
class Training:
    """How many photographs were large enough to be trained on, and how long that took."""

    photographs: int
    measured: Done


@dataclass(frozen=True)
class Tuned:
    """A fine-tuned network: its training, and what Table 1 says of it."""

    training: Training
    quality: Quality
    speed: SpeedAndSize
    memory: Memory


@dataclass(frozen=True)
class StageTimes:
    """Every fine-tuned network and what it was before, all timed in turn, so that their seconds compare."""

    techniques: dict[Technique, Speed]


def of_technique(study: Study, technique: Technique) -> Training:
    """Train the network of a technique, unless it is in networks/ already."""
    record = networks.network(study, technique).meta["finetuning"]
    return Training(record["photographs"], Done(record["steps"], record["seconds"]))


def stage_times(study: Study) -> StageTimes:
    """Time them."""
    every = [stage for technique in study.finetuned for stage in stages(technique)]
    return StageTimes(speed.compare(study, {technique: networks.network(study, technique) for technique in every}))

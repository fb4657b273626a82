"""What a training gained: a network beside what it was before."""

import math
from typing import NamedTuple

from lowrank_sr.study.measure.quality import Quality
from lowrank_sr.study.record import Results
from lowrank_sr.study.report.claims_quality import standard_error
from lowrank_sr.study.technique import Technique, stages


class Gain(NamedTuple):
    """Decibels of PSNR in RGB: the mean over the pictures and its standard error, None for a single picture."""

    mean: float
    error: float | None


def qualities(results: Results, technique: Technique) -> dict[Technique, Quality]:
    """The quality of a technique of `results.tuned` in each of its stages, the last one trained."""
    *before, after = stages(technique)
    return {stage: results.quality[stage] for stage in before} | {after: results.tuned[technique].quality}


def short_name(technique: Technique) -> str:
    """The name of a network through all its stages: "dense network", "SVD" or "CP"."""
    return technique.form.upper() if technique.form else "dense network"


def gain(results: Results, technique: Technique) -> Gain:
    """What a training gained over the network that it began with, picture by picture."""
    *_, before, after = qualities(results, technique).values()
    pairs = zip(before.pictures, after.pictures, strict=True)
    gains = [second.psnr_rgb - first.psnr_rgb for first, second in pairs]
    return Gain(math.fsum(gains) / len(gains), standard_error(gains) if len(gains) > 1 else None)

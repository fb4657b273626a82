"""How long to train: a number of steps, or minutes of them on this machine."""

import math
from typing import NamedTuple

from lowrank_sr.errors import InputError


class Length(NamedTuple):
    """One of the two; a step is one of every layer, of all together or of its part."""

    steps: int | None
    minutes: float | None

    def done(self, steps: int, seconds: float) -> float:
        """The part that is done after so many steps, or seconds: 1 at the end."""
        if self.steps is not None:
            return steps / self.steps
        assert self.minutes is not None
        return seconds / (60 * self.minutes)

    def times(self, factor: float) -> "Length":
        """So much as long."""
        if self.steps is not None:
            return Length(max(1, round(factor * self.steps)), None)
        assert self.minutes is not None
        return Length(None, factor * self.minutes)

    def of_each(self, count: int) -> "Length":
        """What has one of so many shares gets: all the steps, its share of the minutes."""
        return self if self.minutes is None else Length(None, self.minutes / count)


def checked_length(steps: int | None, minutes: float | None) -> Length:
    """The length of a run; raises InputError unless exactly one is given, and it is more than none."""
    if (steps is None) == (minutes is None):
        raise InputError("steps and minutes: expected exactly one of them")
    if steps is not None and steps < 1:
        raise InputError(f"{steps} steps: expected at least 1")
    if minutes is not None and not 0 < minutes < math.inf:
        raise InputError(f"{minutes:g} minutes: expected more than 0")
    return Length(steps, minutes)

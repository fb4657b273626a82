"""Feature maps of stacks, handed out again once nothing reads them: only the first pass needs new memory."""

from collections import defaultdict
from dataclasses import dataclass, field

from lowrank_sr.conv.feature_map import FeatureMap
from lowrank_sr.training.stack import Stack


@dataclass(eq=False)
class Value:
    """What an operation has computed: a map, and the gradient of the loss with respect to it, the sum of `gradients`.

    Each of these comes from an operation that has read the map, the last one first.
    """

    stack: Stack
    map: FeatureMap
    gradients: list[FeatureMap] = field(default_factory=list)


class Pool:
    """Maps by their stack and channels. What is in one that was used before is still there; the border is zero."""

    def __init__(self) -> None:
        self.maps: dict[tuple[Stack, int], list[FeatureMap]] = defaultdict(list)
        self._free: dict[tuple[Stack, int], list[FeatureMap]] = defaultdict(list)

    def take(self, stack: Stack, channels: int) -> FeatureMap:
        """A map that nobody else has."""
        free = self._free[stack, channels]
        if free:
            return free.pop()
        new = stack.allocate(channels)
        self.maps[stack, channels].append(new)
        return new

    def give_back(self, stack: Stack, *maps: FeatureMap) -> None:
        """Whole maps of `stack` that nothing reads any more."""
        for each in maps:
            self._free[stack, each.channels].append(each)

    def give_back_all(self) -> None:
        """Every map that was ever taken."""
        for key, maps in self.maps.items():
            self._free[key] = list(maps)

"""Crops of a batch as one tall feature map, so that every convolution of the package takes a batch as it is.

A crop by itself has too little to do for several threads. The crops therefore lie one below the other, with rows of
zeros under each that are the border of both neighbours:

    rows 0 ... h - 1      the first crop
    row  h                zeros, a row where the map is at low resolution, 2^k rows where it is enlarged by 2^k
    rows h + 1 ... 2 h    the second crop, and so on

A convolution writes into these rows as well: `clear_gaps` makes them zeros again, for 1 / (h + 1) of the pixels.
"""

from typing import NamedTuple

import numpy as np

from lowrank_sr.conv.feature_map import FeatureMap, allocate


class Stack(NamedTuple):
    """The shape of a stack: `crops` crops of `height` x `width` pixels, `gap` rows of zeros below each."""

    crops: int
    height: int
    width: int
    gap: int = 1

    def enlarged(self, factor: int) -> "Stack":
        """The shape of the same crops, enlarged by a whole number."""
        return Stack(self.crops, factor * self.height, factor * self.width, factor * self.gap)

    def allocate(self, channels: int) -> FeatureMap:
        """A map of zeros for the whole stack."""
        return allocate(self.crops * (self.height + self.gap), self.width, channels)

    def put(self, images: np.ndarray, x: FeatureMap) -> None:
        """Copy `images`, (crops, height, width, C), into the map."""
        self._split(x)[:, : self.height] = images

    def take(self, x: FeatureMap) -> np.ndarray:
        """Copy the crops out of the map: (crops, height, width, C) float32."""
        return self._split(x)[:, : self.height].copy()

    def clear_gaps(self, x: FeatureMap) -> None:
        """Make the rows between the crops zeros."""
        self._split(x)[:, self.height :] = 0

    def _split(self, x: FeatureMap) -> np.ndarray:
        """The map as a (crops, height + gap, width, C) view."""
        rows = x.array
        stride = rows.strides[0]
        shape = (self.crops, self.height + self.gap, *rows.shape[1:])
        strides = (shape[1] * stride, *rows.strides)
        return np.lib.stride_tricks.as_strided(rows, shape, strides)

"""Transparent pixels: what the network is shown in their place, and how alpha itself is enlarged.

A network never saw a transparent pixel. Where alpha is 0 the colour means nothing, often black, and it would be smeared
into what is visible: so colours are carried outwards first. And a network makes of a constant one that is nearly so:
where alpha does not change, it is taken as it is.
"""

from collections.abc import Callable

import numpy as np

from lowrank_sr.pictures.resize import imresize

NETWORK, BICUBIC = "network", "bicubic"  # by what alpha is enlarged
_REACH = 2  # pixels around, as bicubic looks


def carried_outwards(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """(h, w, C) colours, of which each that is wholly transparent is that of the nearest pixel that is not.

    Memory: 24 bytes a pixel where there is one.
    """
    hidden = alpha <= 0
    if hidden.all() or not hidden.any():
        return colours
    from scipy.ndimage import distance_transform_edt  # here, since it would slow `import lowrank_sr`

    rows, columns = distance_transform_edt(hidden, return_distances=False, return_indices=True)
    carried: np.ndarray = colours[rows, columns]
    return carried


def enlarged_alpha(alpha: np.ndarray, scale: int, by: str, network: Callable[[], np.ndarray]) -> np.ndarray:
    """(scale h, scale w) of (h, w): by `network`, or bicubic; as it is where it does not change within 2 pixels.

    So opaque stays opaque, and transparent what is far from anything visible. An alpha of one value takes no time.
    """
    from scipy.ndimage import maximum_filter, minimum_filter

    least, most = (of(alpha, 2 * _REACH + 1, mode="nearest") for of in (minimum_filter, maximum_filter))
    constant = np.repeat(np.repeat(least == most, scale, axis=0), scale, axis=1)
    plain = np.repeat(np.repeat(alpha, scale, axis=0), scale, axis=1)
    if constant.all():
        return plain
    larger = network() if by == NETWORK else imresize(alpha, scale)
    return np.where(constant, plain, larger)

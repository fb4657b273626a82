"""The input of Real-ESRGAN's x2 and x1 networks, which are its x4 network on a picture folded into channels."""

import numpy as np


def pixel_unshuffle(image: np.ndarray, factor: int) -> np.ndarray:
    """Fold `factor` x `factor` blocks of pixels into channels, as PyTorch does, the image reflected up to whole blocks.

    (H, W, C) -> (ceil(H / factor), ceil(W / factor), C factor^2), channel c factor^2 + factor i + j from pixel (i, j)
    of a block.
    """
    height, width, channels = image.shape
    whole = np.pad(
        image,
        ((0, -height % factor), (0, -width % factor), (0, 0)),
        "symmetric" if min(height, width) < factor else "reflect",
    )
    blocks = whole.reshape(whole.shape[0] // factor, factor, whole.shape[1] // factor, factor, channels)
    return blocks.transpose(0, 2, 4, 1, 3).reshape(*blocks.shape[:3:2], channels * factor**2)

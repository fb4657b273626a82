"""The input of Real-ESRGAN's x2 and x1 networks, which are its x4 network on a picture folded into channels."""

import numpy as np


def pixel_unshuffle(images: np.ndarray, factor: int) -> np.ndarray:
    """Fold `factor` x `factor` blocks of pixels into channels, as PyTorch does, images reflected up to whole blocks.

    (..., H, W, C) -> (..., ceil(H / factor), ceil(W / factor), C factor^2), channel c factor^2 + factor i + j from
    pixel (i, j) of a block.
    """
    if factor == 1:
        return images
    *stack, height, width, channels = images.shape
    whole = np.pad(
        images,
        (*[(0, 0)] * len(stack), (0, -height % factor), (0, -width % factor), (0, 0)),
        "symmetric" if min(height, width) < factor else "reflect",
    )
    rows, columns = whole.shape[-3] // factor, whole.shape[-2] // factor
    blocks = whole.reshape(-1, rows, factor, columns, factor, channels)
    return blocks.transpose(0, 1, 3, 5, 2, 4).reshape(*stack, rows, columns, channels * factor**2)


def pixel_shuffle(blocks: np.ndarray, factor: int) -> np.ndarray:
    """The inverse for images of whole blocks: (..., h, w, C factor^2) -> (..., factor h, factor w, C)."""
    *stack, height, width, channels = blocks.shape
    split = blocks.reshape(-1, height, width, channels // factor**2, factor, factor)
    return split.transpose(0, 1, 4, 2, 5, 3).reshape(*stack, factor * height, factor * width, channels // factor**2)

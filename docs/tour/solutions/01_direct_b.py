"""How many multiply-adds of a 3 x 3 convolution are products with the zeros beyond the border?"""

import numpy as np


def useful(height, width):
    """Products with pixels of the map, for one pair of channels.

    Of the H rows, all have a pixel for the middle tap, all but one for the tap above and all but one for the tap below:
    3 H - 2 pairs of a row and a tap. Columns alike, and the two are independent.
    """
    return (3 * height - 2) * (3 * width - 2)


def counted(height, width):
    """The same by convolving ones with ones: each output is the number of its products that count."""
    padded = np.pad(np.ones((height, width)), 1)
    return sum(padded[i : i + height, j : j + width].sum() for i in range(3) for j in range(3))


for size in [(1, 1), (1, 5), (4, 7), (96, 96)]:
    assert useful(*size) == counted(*size)

share = 1 - useful(96, 96) / (9 * 96 * 96)
assert 0.013 < share < 0.014
print(f"96 x 96 pixels: {share:.2%} of the multiply-adds are by zero; of one pixel {1 - useful(1, 1) / 9:.0%}")

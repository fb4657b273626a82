"""The number of channels from which on a convolution is compute-bound."""

BALANCE = 30  # FLOPs a byte


def dense(channels, taps):
    """FLOPs a byte of a convolution of a large map, C = N: 2 taps C C FLOPs for 2 C numbers of 4 bytes a pixel."""
    return 2 * taps * channels**2 / (4 * 2 * channels)  # = taps C / 4


def depthwise(channels, taps):
    """FLOPs a byte of a depthwise convolution: 2 taps C FLOPs for 2 C numbers of 4 bytes a pixel."""
    return 2 * taps * channels / (4 * 2 * channels)  # = taps / 4, whatever C


def first_compute_bound(intensity, taps):
    """The least number of channels at which `intensity` reaches the balance, or None."""
    return next((c for c in range(1, 10_000) if intensity(c, taps) >= BALANCE), None)


assert first_compute_bound(dense, 9) == 14  # 9 C / 4 >= 30
assert first_compute_bound(dense, 1) == 120  # C / 4 >= 30
assert first_compute_bound(depthwise, 3) is None  # 0.75 for any number of channels
print("3 x 3 from 14 channels, 1 x 1 from 120, depthwise never")

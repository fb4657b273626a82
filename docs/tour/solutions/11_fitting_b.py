"""The error of a fit by the number of patches it was fitted to."""

import numpy as np

import lowrank_sr as lsr
from lowrank_sr.compression import calibration
from lowrank_sr.compression.patch_statistics import patch_moments
from lowrank_sr.compression.stacks import on_stacks
from lowrank_sr.factors import pair_kernel
from lowrank_sr.lowrank import refit_svd, svd
from lowrank_sr.lowrank.data_norm import relative_error
from lowrank_sr.network.esrgan import forward
from lowrank_sr.pictures.images import read_image
from lowrank_sr.resources import IMAGES

net = lsr.load("psnr-small", method="winograd")
kernel = net.layers["HRconv"].weight.astype(np.float64)


def inputs(images):
    """What HRconv reads on images (B, H, W, 3): (B, 4 H, 4 W, 64)."""
    seen = []

    def compute(name, x):
        if name == "HRconv":
            seen.append(x)
        return on_stacks(net.layers[name], "winograd")(x)

    forward(net.architecture, images, compute)
    return seen[0]


def moments(maps, count):
    """Of `count` patches: each piece of 8 x 8 pixels is touched by 100."""
    batch, height, width, channels = maps.shape
    pieces = maps.reshape(batch, height // 8, 8, width // 8, 8, channels).swapaxes(2, 3).reshape(-1, 8, 8, channels)
    chosen = np.random.default_rng(0).choice(len(pieces), count // 100, replace=False)
    return patch_moments(pieces[chosen], on_stacks(net.layers["HRconv"], "winograd"))


photograph = read_image(IMAGES / "chelsea.png").pixels[60:156, 130:226]
unseen = moments(inputs(lsr.imresize(photograph, 1 / 4).clip(0, 1)[None].astype(np.float32)), 6400)
calibration_maps = inputs(calibration.crops(calibration.read_pictures(), scale=4).low[:16, :20, :20])

errors = {}
for count in (100, 400, 1600, 6400):
    pair = refit_svd.refit(kernel, 48, moments(calibration_maps, count).covariance, rounds=4)
    errors[count] = relative_error(kernel, pair_kernel(*pair), unseen.covariance)
    print(f"{count:5} patches: error {errors[count]:.4f}")
by_kernel = relative_error(kernel, pair_kernel(*svd.truncate(kernel, 48)), unseen.covariance)
print(f"SVD of the kernel: error {by_kernel:.4f}")

# With fewer patches than numbers in a patch, G says nothing about most directions, and the ridge decides there.
assert errors[6400] < errors[400] < errors[100] < by_kernel

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


def inputs_and_outputs(images):
    """What HRconv reads, and what it gives, on images (B, H, W, 3)."""
    seen = []

    def compute(name, x):
        out = on_stacks(net.layers[name], "winograd")(x)
        if name == "HRconv":
            seen.extend([x, out])
        return out

    forward(net.architecture, images, compute)
    return seen


def moments(x, out, count):
    return patch_moments(x, out, np.sort(np.random.default_rng(0).choice(out[..., 0].size, count, replace=False)))


photograph = read_image(IMAGES / "chelsea.png").pixels[60:156, 130:226]
unseen = moments(*inputs_and_outputs(lsr.imresize(photograph, 1 / 4).clip(0, 1)[None].astype(np.float32)), 6400)
calibration_maps = inputs_and_outputs(calibration.crops(calibration.read_pictures(), scale=4).low[:16, :20, :20])

errors = {}
for count in (100, 400, 1600, 6400):
    pair = refit_svd.refit(kernel, 48, moments(*calibration_maps, count).covariance, rounds=4)
    errors[count] = relative_error(kernel, pair_kernel(*pair), unseen.covariance)
    print(f"{count:5} patches: error {errors[count]:.4f}")
by_kernel = relative_error(kernel, pair_kernel(*svd.truncate(kernel, 48)), unseen.covariance)
print(f"SVD of the kernel: error {by_kernel:.4f}")

# With fewer patches than numbers in a patch, G says nothing about most directions, and the ridge decides there.
assert errors[6400] < errors[400] < errors[100] < by_kernel

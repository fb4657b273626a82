"""Biases alone: set in one pass, and trained.

The biases of `psnr-small` are off by far more than a few steps can mend: each moves an array by a part of its own norm,
0.001 at most, whatever the gradient. The many numbers of the kernels, all moved by so little, together change an output
by much more than its one bias does.
"""

import numpy as np

import lowrank_sr as lsr
from lowrank_sr.compression import calibration
from lowrank_sr.compression.fit import refit_biases
from lowrank_sr.pictures.images import read_image
from lowrank_sr.resources import IMAGES
from lowrank_sr.training import muon
from lowrank_sr.training.crops import draw, photographs
from lowrank_sr.training.finetune import RATE
from lowrank_sr.training.loss import loss_and_gradient
from lowrank_sr.training.parameters import arrays_of, shapes_of, to_layers, to_vector
from lowrank_sr.training.walk import Walk

net = lsr.load("psnr-small", method="winograd")
low_rank = lsr.compress(net, speedup=2, images=())
crops = calibration.crops(calibration.read_pictures(), net.scale).low[:8]
refitted = refit_biases(net, low_rank, crops[:, 24:40, 24:40])

side, count, steps = 12, 2, 8
pictures = photographs(calibration.read_pictures(), net.scale, side, with_teacher=False)
is_bias = to_vector(
    {
        name: {field: np.full(array.shape, field == "bias") for field, array in layer.arrays().items()}
        for name, layer in low_rank.layers.items()
    }
)
rng = np.random.default_rng(0)
walk = Walk(net.architecture, count, side, side)
state = muon.start(to_vector(arrays_of(low_rank.layers)))
start = state.weights
for step in range(steps):
    layers = to_layers(state.weights, low_rank.layers)
    _, gradient = loss_and_gradient(walk, layers, draw(pictures, count, side, net.scale, rng))
    state = muon.step(state, gradient * is_bias, shapes_of(low_rank.layers), RATE * muon.schedule(step / steps))
trained = lsr.RRDBNet(to_layers(state.weights, low_rank.layers), net.method)

photograph = read_image(IMAGES / "chelsea.png").pixels[60:188, 130:258]
small = np.rint(255 * lsr.imresize(photograph, 1 / 4).clip(0, 1)).astype(np.float32) / 255
networks = {"kernels alone": low_rank, "biases set": refitted, "biases trained": trained, "dense": net}
quality = {name: lsr.psnr(network(small), photograph, crop=4) for name, network in networks.items()}
for name, value in quality.items():
    print(f"{name:15} {value:.2f} dB")

needed = max(
    np.abs(refitted.layers[name].bias - layer.bias).max() for name, layer in low_rank.layers.items() if layer.rank
)
moved = np.abs(state.weights - start).max()
print(f"the biases that were set moved by up to {needed:.3f}, those that were trained by up to {moved:.4f}")
assert quality["biases set"] > quality["biases trained"] > quality["kernels alone"]
assert moved < needed / 10

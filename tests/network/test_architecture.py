from dataclasses import replace

import pytest

from lowrank_sr.errors import InputError
from lowrank_sr.network.architecture import Architecture, architecture_of

X4 = Architecture(num_feat=8, num_block=2, num_grow_ch=4, upsamplings=2, in_channels=3, out_channels=3)


@pytest.mark.parametrize(
    "design",
    [
        X4,
        replace(X4, upsamplings=0),
        replace(X4, upsamplings=4),
        replace(X4, in_channels=1, out_channels=1),
        replace(X4, in_channels=4, out_channels=4),
        replace(X4, in_channels=12),
        replace(X4, num_block=11),
    ],
    ids=str,
)
def test_architecture_follows_from_the_shapes_in_any_order(design):
    shapes = design.shapes()
    assert architecture_of(shapes) == design
    assert architecture_of(dict(reversed(shapes.items()))) == design


@pytest.mark.parametrize("upsamplings", [0, 2, 4])
def test_every_layer_is_in_a_dense_block_or_outside(upsamplings):
    design = replace(X4, upsamplings=upsamplings)
    in_blocks = [name for names in design.dense_blocks().values() for name in names]
    assert sorted([*in_blocks, *design.outside_blocks()]) == sorted(design.shapes())


@pytest.mark.parametrize(
    ("in_channels", "out_channels", "upsamplings", "unshuffle", "scale"),
    [
        (3, 3, 2, 1, 4),
        (3, 3, 0, 1, 1),
        (3, 3, 3, 1, 8),
        (3, 3, 4, 1, 16),
        (12, 3, 4, 2, 8),
        (48, 3, 4, 4, 4),
        (1, 1, 2, 1, 4),
        (4, 4, 2, 1, 4),
        (16, 4, 2, 2, 2),
        (64, 4, 2, 4, 1),
        (12, 3, 2, 2, 2),  # Real-ESRGAN x2
        (48, 3, 2, 4, 1),  # Real-ESRGAN x1
        (12, 3, 1, 2, 1),
        (12, 3, 3, 2, 4),
        (4, 1, 2, 2, 2),
        (16, 1, 2, 4, 1),
        (27, 3, 2, 1, 4),  # 9 times the output's channels, and yet no unshuffle by 3
        (27, 3, 3, 1, 8),
        (192, 3, 3, 1, 8),  # 64 times, and no unshuffle by 8
        (12, 3, 0, 1, 1),  # unshuffled by 2 without an upsampling, the output would be smaller than the input
        (48, 3, 1, 1, 2),
        (12, 12, 2, 1, 4),
        (1, 3, 2, 1, 4),
    ],
)
def test_unshuffle_and_scale(in_channels, out_channels, upsamplings, unshuffle, scale):
    design = replace(X4, in_channels=in_channels, out_channels=out_channels, upsamplings=upsamplings)
    assert (design.unshuffle, design.scale) == (unshuffle, scale)
    assert design.image_channels * unshuffle**2 == in_channels


@pytest.mark.parametrize("name", [name for name in X4.shapes() if name != "upconv2"])  # without it, an x2 network
def test_missing_layer_is_named(name):
    shapes = X4.shapes()
    del shapes[name]
    with pytest.raises(InputError, match=f"layer {name} is missing"):
        architecture_of(shapes)


@pytest.mark.parametrize("name", ["other", "upconvs", "RRDB_trunk.0.RDB4.conv1", "RRDB_trunk.x.RDB1.conv1"])
def test_unknown_layer_is_named(name):
    with pytest.raises(InputError, match=f"layer {name} is not one of an RRDBNet with 2 blocks"):
        architecture_of({**X4.shapes(), name: (8, 8, 3)})


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("HRconv", (8, 8, 5)),
        ("HRconv", (9, 8, 3)),
        ("trunk_conv", (8, 7, 3)),
        ("conv_last", (3, 9, 3)),
        ("RRDB_trunk.1.RDB3.conv5", (8, 20, 3)),
    ],
)
def test_shape_that_does_not_fit_is_named(name, shape):
    with pytest.raises(InputError, match=rf"layer {name} has \(N, C, d\) = \({shape[0]}, {shape[1]}, {shape[2]}\)"):
        architecture_of({**X4.shapes(), name: shape})


@pytest.mark.parametrize("size", [1, 2, 4, 5])
def test_kernels_other_than_3_x_3_are_refused(size):
    shapes = {name: (n, c, size) for name, (n, c, _) in X4.shapes().items()}
    with pytest.raises(InputError, match=rf"layer conv_first has \(N, C, d\) = \(8, 3, {size}\): expected \(8, 3, 3\)"):
        architecture_of(shapes)

"""The project's own checkpoint, as PyTorch wrote it, against the same weights in float16."""

import numpy as np

from lowrank_sr.checkpoints import read_checkpoint


def test_shared_checkpoint(shared):
    checkpoint = read_checkpoint(shared / "weights" / "rrdb_x4_nb3.pth")
    assert (checkpoint.scheme, checkpoint.dtype, checkpoint.wrapper) == ("ESRGAN release", "float32", "")
    with np.load(shared / "weights" / "rrdb_x4_nb3.npz", allow_pickle=False) as rounded:
        assert set(checkpoint.arrays) == set(rounded.files) - {"meta"}
        for name, array in checkpoint.arrays.items():
            np.testing.assert_array_equal(array.astype(np.float16), rounded[name])

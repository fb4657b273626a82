"""Convolutions of feature maps, one algorithm a file; `methods.py` puts the right algorithm behind each layer.

Each algorithm's file has these two functions: `prepare` orders a layer's arrays as its loops read them, once;
`convolve` runs the compiled loops on a feature map. Read `feature_map.py`, then `im2col.py`, the plainest, then
`kn2row.py`, which does without its matrix. `tile.py` is the inner loop of all others: `direct.py`, `winograd.py`, the
SVD pair in `separable.py` and, with Winograd's algorithm, in `separable_winograd.py`, and `cp.py`. `epilogue.py` is
what happens to a result as it is written, `simd.py` how vectors get into Numba. The layers of a dense block that all go
by Winograd's algorithm are computed together, in the order of `wavefront.py`: `dense_block.py` for dense layers,
`separable_dense_block.py` for SVD pairs.
"""

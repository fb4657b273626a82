"""Convolutions of feature maps, one algorithm a file.

Each algorithm's file says its equation and ends with its `ALGORITHM`, the record of `algorithm.py`: `prepare` orders a
layer's arrays as its loops read them, once, `convolve` runs the compiled loops on feature maps. `algorithms.py` is the
table of them, `methods.py` runs any layer by any method, `timing.py` says how long that takes.

Read `feature_map.py`, then `im2col.py`, the plainest, then `kn2row.py`, which does without its matrix (`gemm.py` calls
BLAS for it). `micro_kernel.py` is the inner loop of all others: `direct.py`; `winograd.py`; the SVD pair in
`separable.py` and, by Winograd's algorithm, in `separable_winograd.py`; and `cp.py`. Both Winograds share
`toom_cook.py`, their transforms, and `output_tile.py`, which writes their results. `upsampled.py` convolves an enlarged
map without enlarging it.

The layers of a dense block are computed together, in the order of `wavefront.py`: `dense_block.py` for dense layers by
Winograd's algorithm, `separable_dense_block.py` for SVD pairs. Beneath all of them: `epilogue.py`, what happens to a
result as it is written; `turns.py`, how threads share work; `simd.py`, how vectors get into Numba.
"""

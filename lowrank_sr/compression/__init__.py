"""Compression of a network: which layers, of which ranks, fitted to what.

Read `network.py`, the whole of it; `ranks.py`, which rank each layer gets; `prices.py`, what it costs, and
`sensitivity.py`, what a rank does to the picture. Then `fit.py`, layer after layer, with `factorise.py` (one layer).
Both walk through the network by `network/esrgan.py`, with crops of pictures (`calibration.py`, `stacks.py`), and look
at what a layer sees (`patch_statistics.py`). `held_out.py` looks at the result on crops that the fit has not seen.
`serial_blas.py` keeps small products on one thread; `record.py` is what the weights file says of it all.
"""

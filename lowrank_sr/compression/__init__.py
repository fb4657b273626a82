"""Compression of a network: which layers, of which ranks, fitted to what.

Read `network.py`, the whole of it; `ranks.py`, which rank each layer gets and what it costs; `sensitivity.py`, what a
rank does to the picture. Then `fit.py`, layer after layer, with `factorise.py` (one layer), and what a fit needs:
`calibration.py` (pictures), `walk.py` (the network layer by layer) and `patch_statistics.py` (what a layer sees).
`serial_blas.py` keeps small products on one thread; `record.py` is what the weights file says of it all.
"""

"""Compression of a network: which layers, of which ranks, fitted to what.

Read `network.py`, the whole of it; `walk.py`, the network layer by layer; then what a fit needs, `calibration.py`
(pictures), `patch_statistics.py` (what a layer sees) and `factorise.py` (one layer); then how ranks are chosen,
`sensitivity.py`, `cost.py` and `choose.py`.
"""

"""From a dense kernel to a factorised one: arrays in, arrays out, NumPy alone.

Read `svd.py` and `cp_als.py` (the factors closest to a kernel), then `data_norm.py`, `refit_svd.py` and `refit_cp.py`
(the factors closest to a layer's output), then `ranks.py` and `conditioning.py` (how many terms, and of which layers).

numpy.linalg throughout: the wheels of SciPy carry a second OpenBLAS, whose idle threads slow down those of NumPy's.
"""

"""The parts of `compress.py`.

Read `walk.py`, the network layer by layer; then what a fit needs, `calibration.py` (pictures), `second_moments.py` and
`factorise.py` (one layer); then how ranks are chosen, `sensitivity.py`, `cost.py` and `choose.py`. `report.py` says
what came of it, `command.py` is the command.
"""

"""The study: one command that measures the poster's table, figures and claims again, and goes further.

Read `run.py`, which lists the steps in order; then `technique.py`, what is compared; then, in `measure/`, a file for
each kind of step. Each step returns a dataclass; `record.py` keeps them in results.json and makes `Results` of them,
which is all that `report/` reads.
"""

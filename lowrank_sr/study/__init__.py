"""The study: the poster's table, figures and claims, measured again by one command, and taken further.

Read `run.py`, the command; `steps.py`, what is measured, in order; then a file for each kind of measurement. What they
return is kept in results.json (`record.py`), and `claims.py`, the `figure_*.py` and the reports see nothing but that.
"""

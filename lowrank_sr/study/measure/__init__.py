"""The study's measurements: `low_rank.py` and `networks.py` make the networks; each other file answers a question."""

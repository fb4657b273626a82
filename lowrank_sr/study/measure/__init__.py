"""The study's measurements: `low_rank.py` makes the networks, and each other file answers one question about them."""

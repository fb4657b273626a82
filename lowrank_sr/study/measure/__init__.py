"""The study's measurements: `networks.py` makes the networks; each other file answers a question."""

"""The study's measurements: `networks.py` and `networks.py` make the networks; each other file answers a question."""

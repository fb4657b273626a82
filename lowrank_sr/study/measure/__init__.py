"""The study's measurements: `networks.py` for Table 1, and a file for each further question."""

"""The study's measurements, a question a file."""

"""The study's results as a page: tables, figures, claims."""

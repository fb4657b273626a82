"""The machine that computes: threads, compiled code, caches, memory, time."""

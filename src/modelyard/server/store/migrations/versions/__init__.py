"""One file a step, in order: `m0001_start.py`, `m0002_...`."""

"""Modelyard and its peers side by side, on one machine in one run: benchmarks/README.md says how."""

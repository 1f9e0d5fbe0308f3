"""The author's machine: run a model folder without a server."""

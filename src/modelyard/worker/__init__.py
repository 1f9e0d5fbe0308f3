"""One replica's own process. Nothing imports this room: it is started as `python -m modelyard.worker`."""

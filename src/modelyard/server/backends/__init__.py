"""Where replicas run: start, stop, watch, logs."""

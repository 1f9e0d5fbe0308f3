"""Model hubs: what is asked of them, in a process of its own, and what is kept of their answers."""

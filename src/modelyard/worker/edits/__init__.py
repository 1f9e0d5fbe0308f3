"""A worker that takes edits: what its modules were made of, what has changed, and how the running code is exchanged."""

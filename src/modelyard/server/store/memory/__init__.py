"""The store in memory, for a server that ends with its terminal. The only public name is `MemoryStore`."""

from modelyard.server.store.memory.store import MemoryStore

__all__ = ["MemoryStore"]

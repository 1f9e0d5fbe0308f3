"""What every door does before and after its own convention: ASGI's types, headers, the end of a caller."""

"""Who calls, what they ask, and the doors they come through."""

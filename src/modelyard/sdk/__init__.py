"""What the author's class inherits from."""

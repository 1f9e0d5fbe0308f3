"""What the server counts and measures, and how it is written out. Nothing here knows where the numbers come from."""

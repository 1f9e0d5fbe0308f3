"""What the system and compat tests share: real servers, real folders, real requests."""

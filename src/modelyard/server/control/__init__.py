"""The loops that make the actual state meet the wanted one."""

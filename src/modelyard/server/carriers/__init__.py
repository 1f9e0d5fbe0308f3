"""What carries the ASGI application on the network: one class a server, and nothing else names one."""

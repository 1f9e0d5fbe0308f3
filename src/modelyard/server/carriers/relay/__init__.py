"""ASGI over a private socket: another process has the network's connections, and this one has the application.

The process with the connections (a *front*) is believed no more than the network is: what it passes on is checked here
like any request, and it holds no token, no limit and no route.
"""

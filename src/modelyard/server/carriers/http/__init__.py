"""HTTP/1.1 and HTTP/2 in the gateway's own event loop: what a connection says, as ASGI, and back."""

"""gRPC over ASGI: a five-byte prefix a message, the status in trailers."""

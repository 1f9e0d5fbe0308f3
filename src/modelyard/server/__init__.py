"""The server: one corridor (compose, api, services, control) and independent rooms beside it."""

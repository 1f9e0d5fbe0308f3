"""The REST door: JSON to V2 messages and back, by the descriptor's `google.api.http` bindings."""

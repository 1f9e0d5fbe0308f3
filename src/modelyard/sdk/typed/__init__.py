"""Typed methods: from annotations to signatures, and from V2 data to arguments and back."""

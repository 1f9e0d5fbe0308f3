"""The V2 methods: message in, message out; one noun a file."""

"""A client of the V2 API, one noun a file, for the command line and for programs."""

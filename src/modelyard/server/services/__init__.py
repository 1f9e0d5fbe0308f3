"""Use cases, one noun a file. They read and write the store and never wait for the control loops."""

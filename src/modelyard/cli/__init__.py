"""The command line: prints, exits, decides nothing."""

"""The author's config.yaml: what it may say, how it is read, and the public model types."""

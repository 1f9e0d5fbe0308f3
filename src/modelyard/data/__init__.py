"""Typed data and its V2 form: text, image, audio, video, concepts, regions, embeddings; one file each."""

"""The wire: the V2 contract as the published descriptor states it, and the frames between gateway and worker."""

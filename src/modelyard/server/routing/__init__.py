"""From a request to a replica: bounded queues with deadlines, and the choice of the replica."""

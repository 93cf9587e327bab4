"""Growing networks: where a layer pays, by topological derivatives, and the loop that inserts it."""

"""Start strategies: where IPOPT begins decides how long it takes and where it ends."""

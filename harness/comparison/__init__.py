"""Two sweeps against each other: what is worse in one of them, and what cannot be told."""

"""What may happen: a token for each run, and the only hands that hold a credential."""

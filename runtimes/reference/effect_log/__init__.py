"""The effect log: what became true of each run, in an order that nobody can change unseen."""

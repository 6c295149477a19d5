"""Programs of the semantic suite: the smallest ones in which a situation can show."""

"""Hatchet as its users write it: durable tasks by hand, no portable program."""

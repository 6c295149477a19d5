"""Restate as its users write it: workflow handlers by hand, no portable program."""

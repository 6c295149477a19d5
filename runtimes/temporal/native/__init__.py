"""Temporal as its users write it: workflows and activities by hand, no portable program."""

"""Trigger.dev: an adapter written from its published API, which nobody has run."""

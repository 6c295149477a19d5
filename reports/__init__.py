"""Readers of the store that people look at."""

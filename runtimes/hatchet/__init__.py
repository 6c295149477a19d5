"""Hatchet, a real server."""

"""Restate, a real server."""

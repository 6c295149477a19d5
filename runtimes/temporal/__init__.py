"""Temporal, a real server."""

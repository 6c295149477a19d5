"""Inngest: a server that calls its workers, step by step, and keeps its runs in Redis."""

"""DBOS: a library that keeps each step's result in SQLite beside the worker."""

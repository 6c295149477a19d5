"""DBOS as its users write it: workflows by hand, no portable program."""

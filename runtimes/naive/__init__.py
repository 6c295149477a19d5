"""Negative control: after a death the run begins again from zero."""

"""Negative control: completed steps are kept, the one in flight is called again."""

"""Bakeoff for pytest: scenarios as items, one for each runtime, case and fault."""

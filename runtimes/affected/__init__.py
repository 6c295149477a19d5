"""Products in the setting that a published bug is about."""

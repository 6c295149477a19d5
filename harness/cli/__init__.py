"""The `bakeoff` command."""

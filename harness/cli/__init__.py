"""The `bakeoff` command: one module for each family of subcommands."""

"""Scenarios whose providers are real servers of this machine, each started for the sweep."""

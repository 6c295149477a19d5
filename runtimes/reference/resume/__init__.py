"""Going on after a death: what is in doubt is settled, what is sealed is not done again."""

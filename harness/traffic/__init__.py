"""A runtime under load: who asks for runs and when, and what became of each."""

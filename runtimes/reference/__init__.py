"""The reference: intents before calls; what is in doubt is resolved or escalated."""

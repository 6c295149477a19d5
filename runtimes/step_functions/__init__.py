"""AWS Step Functions: a hosted service, of which only the primitives are mapped here."""

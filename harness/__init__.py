"""The instrument: it knows no engine, no scenario and no step name."""

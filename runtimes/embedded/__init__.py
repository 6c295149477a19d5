"""One process, one SQLite file: the engine that the controls and the reference share."""

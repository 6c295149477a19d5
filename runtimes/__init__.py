"""One package per system under test."""

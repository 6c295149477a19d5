"""What tests of whole sweeps share; no test is in here."""

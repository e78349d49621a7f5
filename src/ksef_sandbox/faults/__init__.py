"""Faults: which there are, which request they strike, and what is then done to it."""

"""Sentences of simulated reports, as data."""

"""Puts pages, API and health together into one application, and runs it."""

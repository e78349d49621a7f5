"""Figures, measured on this machine: `python -m bench pair`, `cli` or `sandbox`. What they mean: docs/benchmarks.md.

Nothing here is part of the product, and no figure here is a test.
"""

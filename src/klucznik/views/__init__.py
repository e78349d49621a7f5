"""Outcomes as plain data with stable names, for ``--json`` and the API.

Moments are ISO 8601 in UTC; words for people stand beside the data, never instead of it.
"""

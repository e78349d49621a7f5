"""Renewal: what is due is ordered in time, brought to other programs, and what it replaced is retired."""

"""Signed XML as KSeF takes it: read safely, its signature checked, the request in it understood."""

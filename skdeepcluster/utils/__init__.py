"""Helpers shared by every floor of the package."""

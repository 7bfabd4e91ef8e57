"""Helpers shared by every floor of the package."""

__all__: list[str] = []

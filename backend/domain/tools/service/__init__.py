"""Installed tools and calls to them."""

from backend.domain.tools.service.tools import Tools

__all__ = ["Tools"]

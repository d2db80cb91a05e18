"""The verbs of the directory."""

from backend.domain.directory.service.directory import Directory

__all__ = ["Directory"]

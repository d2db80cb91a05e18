"""Read-only joins over rooms, for pages."""

"""All that needs pydantic-ai: nothing of this package is imported before the first turn."""

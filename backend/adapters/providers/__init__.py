"""Language models by their providers."""

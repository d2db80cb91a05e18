"""A model that needs no provider: it routes a message to tools by fixed rules."""

"""What the chat pages are made of."""

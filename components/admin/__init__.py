"""What the Admin pages are made of."""

"""What a tab knows."""

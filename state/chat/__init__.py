"""What a chat tab knows."""

"""What an Admin tab knows."""

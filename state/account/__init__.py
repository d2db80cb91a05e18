"""What the account pages know."""

"""The pages of the admin area."""

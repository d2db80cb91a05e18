"""The catalogue of every fact and command, and their codec."""

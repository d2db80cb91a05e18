"""The front door: pages, shell and theme."""

"""`autoweave run all`: keeps Valkey, web and worker processes alive on one machine. Standard library only."""

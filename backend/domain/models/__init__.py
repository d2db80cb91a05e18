"""Language models: turns, streams, usage and cost."""

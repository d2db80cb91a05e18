"""Queries of flows: `commits` for the engine's grouped writes, `runs` for claims and sweeps, `reads` for views."""

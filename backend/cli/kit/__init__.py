"""The spec kit: a written spec in, a project that runs out."""

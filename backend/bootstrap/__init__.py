"""Settings to adapters, the one wiring table, and the process roles."""

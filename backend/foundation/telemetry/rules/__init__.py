"""Pure decisions of telemetry: the form of a trace context, and what must not be shown."""

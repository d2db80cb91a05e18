"""The event log: outbox, inbox, dead letters and the bus port."""

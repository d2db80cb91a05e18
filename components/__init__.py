"""What it looks like: functions of vars, without a backend."""

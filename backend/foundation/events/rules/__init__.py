"""Pure decisions about events: whether a new description of them still serves who uses the old one."""

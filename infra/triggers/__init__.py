"""What starts a machine or a function: schedule, inbox, table, failures."""

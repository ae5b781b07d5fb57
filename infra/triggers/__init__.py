"""The triggers of machines and functions: schedule, inbox, table, failures."""

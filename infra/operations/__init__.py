"""What operators look at: alarms, dashboard, outputs."""

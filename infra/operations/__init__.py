"""What people look at: alarms, dashboard, outputs."""

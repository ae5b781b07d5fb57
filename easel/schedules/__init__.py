"""Schedules, which start runs at certain times.

scheduler    creates, changes and lists schedules with EventBridge Scheduler
last_run     the last run of a schedule
occurrences  the next and the previous time of a schedule
schedule     the fields of a schedule
expression   rate(…), cron(…) and at(…)
"""

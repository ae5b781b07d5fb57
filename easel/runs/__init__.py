"""Executions of the state machines, for the API and the command line.

runs        finds and resumes runs
executions  a thin client for Step Functions
history     an execution's progress, step by step
search      finds executions by name, time and status
"""

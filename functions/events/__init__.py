"""Sends events about images, runs and batches.

images    events from the records of images
endings   events from the ends of executions
notices   what each channel receives: a signed body, Slack's form, a line of text
bus       EventBridge's default event bus
"""

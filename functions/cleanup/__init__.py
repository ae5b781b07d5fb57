"""The cleanup step. It reports a run, and deletes and restores on request.

handler  empties staging and reports; or passes a request on to deletes
report   the report of a run
deletes  the objects that a request deletes or restores
sweep    removes objects batch by batch and keeps the records in step
"""

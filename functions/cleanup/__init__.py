"""The cleanup step: it reports a run, and deletes and restores on request.

handler  empties staging and reports; or hands a request to deletes
report   the report of a run
deletes  what a request to delete or restore covers
sweep    removes objects batch by batch, and keeps the records in step
"""

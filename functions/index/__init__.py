"""Keeps the index of the search in step with the table.

images    which images have changed, from the records in the table's stream
handler   the jobs of this function, each with its records
"""

"""The batch step. It checks a manifest before anything is paid, and reports at the end.

handler   entry point
check     checks the whole manifest and lists the lines to be made
price     parses each line as a run and prices its missing images
manifest  reads a manifest line by line
report    reports the result of every line
"""

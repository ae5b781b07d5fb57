"""The batch step: it checks a manifest before anything is paid, and reports at the end.

handler   entry point
check     checks the whole manifest, and writes down what there is to do
price     reads each line as a run, and prices what is missing of it
manifest  reads a manifest line by line
report    what became of the lines
"""

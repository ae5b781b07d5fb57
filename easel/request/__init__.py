"""What a caller may ask for, and what it costs at most.

fields         the kinds of fields, and how a table of them is read
names          run ids, folders, file names and keys that callers choose
request        the table of a run's fields
batch_request  the table of a batch's fields
prompt_text    what the chat model is asked, and how its answer is read
models         prices, sizes and shutdown dates of the models
estimate       the upper bound of a run
"""

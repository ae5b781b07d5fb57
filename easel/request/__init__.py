"""The requests that a caller may send, and their maximum cost.

fields         the kinds of fields, and how a table of fields is read
names          run ids, folders, file names and keys that callers choose
request        the table of a run's fields
batch_request  the table of a batch's fields
prompt_text    the question to the chat model, and how its answer is read
models         prices, sizes and shutdown dates of the models
estimate       the upper bound of a run
"""

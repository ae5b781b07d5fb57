"""The requests that a caller may send, and their maximum cost.

fields         the kinds of fields, and how a table of fields is read
names          run ids, folders, file names and keys that callers choose
references     the images that a request names, and what was found
request        the table of a run's fields
batch_request  the table of a batch's fields
prompt_text    the question to the chat model, and the texts that come of it
prompt_answer  the prompt in the chat model's answer
prompt_wrapping  what servers and models put around a prompt
models         facts, prices and shutdown dates of the models
model_choices  a request's choices, checked against the facts of its model
sizes          the sizes that a model can make, and the nearest ones
time_limits    how long a paid call may take
estimate       the upper bound of a run
"""

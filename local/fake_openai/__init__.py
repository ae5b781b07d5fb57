"""A fake OpenAI server on loopback: it writes prompts, paints real images and counts tokens.

It refuses what the real API refuses, and it fails when a test scripts a fault. `process` starts it,
as does `python -m local.fake_openai`.

server          the routes, chat completions, image generations and edits
edits           the requests of image edits: forms and JSON
image_files     the image files of an edit: which ones are accepted, and how they are decoded
inputs          the input images of an edit, and the layer that shows them over the painting
files           the Files API: inputs and results of batches, and images
batches         the Batch API
batch           one batch: its status, its outcomes, and how the API shows it
batch_input     the lines of a batch's input file, and their errors
token_exchange  tokens for workload identities
requests        the checks of a request, and the tokens it is billed for
painting        images painted from a prompt, and the response with them
responses       JSON responses, errors, pages of a list, and faults applied to a response
faults          the faults that a test scripts
account         what the account was charged, and its requests per minute
"""

"""The ledger: who has paid for what. The first five modules show what Easel promises.

records     the records of a run: its prompt, its chat call, its images
budget      the monthly cap: no paid call starts unless its upper bound fits
claims      one paid call: claimed together with its money, ended with its result
ledger      reads and writes the records of runs
purchase    the life of a purchase: recover, claim, stage, settle, give up

paid_image  the bytes of a purchase
rate_limit  limits when image calls may start, and how many run concurrently
owners      which image each key in the bucket belongs to
uploads     the images that people upload, and when they expire
references  resolves the images that a request names, and opens them
unfinished  names the images of a failed run that are paid and not stored yet
gallery     the index of stored and deleted images
batches     the starts of batches, and the orders at OpenAI's Batch API

Nothing in this folder imports openai or uses an AWS event, so it can be read and tested separately.
"""

"""The only code that imports openai. The SDK never retries: Step Functions owns that.

client       one account: its credential, and the short wait that OpenAI may ask for
credentials  the key in a secret, or a token for this function's own identity
chat         the call that writes a prompt
images       the call that paints an image
batches      OpenAI's Batch API
answers      the body of an answer, read within a time and a size
errors       openai's errors as Easel's, and whether a call may have been charged
"""

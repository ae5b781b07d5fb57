"""The only code that imports openai. The SDK never retries, because Step Functions does.

client       one account: its credential, and short waits that OpenAI asks for
credentials  the key in a secret, or a token for this function's own identity
chat         the call that writes a prompt
images       the call that paints an image
batches      OpenAI's Batch API
answers      the body of an answer, read within limits of time and size
errors       translates openai's errors, and decides whether a call may have been charged
"""

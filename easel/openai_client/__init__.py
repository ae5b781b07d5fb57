"""The only code that imports openai. The SDK never retries, because Step Functions does.

client       one account: its credential, and short waits that OpenAI asks for
credentials  the key in a secret, or a token for this function's own identity
chat         the call that writes a prompt
images       the call that paints an image
batches      OpenAI's Batch API
answers      the body of an answer, read within limits of time and size
parameters   what a server does not accept, set or learned from its answers
errors       translates openai's errors, and decides whether a call may have been charged
reasons      why a provider refused a call, in whichever field it says so
waits        how long a server asks to wait
"""

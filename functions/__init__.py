"""The Lambda functions. The list is the pipeline; easel/contract/messages.py has what they pass on.

prompt        checks the request, writes the image prompt
image         buys one image under a claim, puts its bytes into staging
upload        verifies a staged image and copies it to its final key
mirror        copies a stored image to a second store
cleanup       empties staging and reports the run; deletes and restores on request
batch         checks and prices a manifest; reports the batch
economy       orders the images of a batch from OpenAI's Batch API, and collects them
events        sends events about images and failed runs to EventBridge
api           answers the HTTP API and serves the page
bucket_check  fails a deploy into a bucket that cannot keep Easel's promises
"""

import gc
import os

# Imports leave little garbage, and looking for it takes a tenth of a cold start: it has to be off
# before anything else is imported. easel/aws/lambda_runtime.py turns it on again.
if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    gc.disable()

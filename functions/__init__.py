"""The Lambda functions in pipeline order. For their messages see easel/contract/messages.py.

prompt        checks the request and writes the image prompt
image         buys one image under a claim and puts its bytes into staging
upload        verifies a staged image and copies it to its final key
mirror        copies a stored image to a second store
cleanup       empties staging and reports the run; also deletes and restores on request
batch         checks and prices a manifest; reports the batch
economy       orders a batch's images from OpenAI's Batch API and collects them
events        sends events about images and failed runs to EventBridge
api           serves the HTTP API and the page
adoption      fails a deployment with a bucket or table that cannot keep Easel's promises
"""

import gc
import os

# Garbage collection takes a tenth of a cold start and finds little to free during imports. It must
# be off before anything else is imported. easel/aws/lambda_runtime.py turns it on again.
if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    gc.disable()

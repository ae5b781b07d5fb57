"""Everything that runs in Lambda. Read contract.py first: it holds the messages between the steps.

prompt   checks the request, writes the image prompt, keeps it in the table
image    claims, pays for one picture, puts its bytes into staging
upload   verifies the picture and copies it to its final key
cleanup  empties staging and reports; or deletes or restores an image or a folder on request
"""

import gc
import os

ON_LAMBDA = "AWS_LAMBDA_FUNCTION_NAME" in os.environ

# Imports leave little garbage, and to look for it takes a tenth of a cold start; cold_start.py turns the collector on again. Read here and
# not in settings.py, since it has to be off before anything else is imported.
if ON_LAMBDA:
    gc.disable()

"""The library behind the Lambda functions and the command line.

Each folder may import the folders below it:

services       builds a function's collaborators, once per cold start
schedules      starts runs at certain times (for the API, the command line and the deployment)
search         finds stored images by their words (for the API, the index and the command line)
runs           finds, resumes and stops executions (for the API and the command line)
ledger         records who has paid for what: the core promise of the project
openai_client  the only code that imports openai
images         decodes files of images, and makes thumbnails and input images
request        what a caller may request, and its maximum cost
aws            all access to AWS: S3, DynamoDB, Lambda's runtime, logs and metrics
contract       what all parts share: messages, errors, names, settings, money
"""

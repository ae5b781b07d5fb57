"""The library behind the Lambda functions and the command line.

Each folder may import the ones below it:

services       builds everything a function talks to, once per cold start
runs           finds, resumes and stops executions (for the API and the command line)
ledger         who has paid for what: the promise of the project
openai_client  the only code that imports openai
request        what a caller may ask for, and what it costs at most
aws            what touches AWS: S3, DynamoDB, Lambda's runtime, logs and metrics
contract       what all parts agree on: messages, errors, names, settings, money
"""

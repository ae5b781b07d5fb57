"""All access to AWS. Nothing in this folder knows about runs or images.

client          makes boto3 clients, and translates their errors into Easel's
table           one DynamoDB table
bucket          one S3 bucket
json_lines      files in the bucket with one JSON value per line
lambda_runtime  a function's process: cold start and deadline
observability   a call's log line and metrics
"""

"""What touches AWS. Nothing in here knows of runs or images.

client          makes boto3 clients, and turns their errors into Easel's
table           one DynamoDB table
bucket          one S3 bucket
json_lines      files in the bucket with a JSON value per line
lambda_runtime  the life of a function's process: cold start and deadline
observability   a call's log line and metrics
"""

"""The only code that talks to the outside: OpenAI, S3, DynamoDB, Secrets Manager."""

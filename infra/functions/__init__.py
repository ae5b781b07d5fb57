"""The Lambda functions: what each is made of, and what it may do."""

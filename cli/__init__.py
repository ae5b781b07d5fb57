"""The command line for a deployed stack, here or on AWS. `python -m operate --help` says what it can do."""

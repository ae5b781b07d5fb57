"""The command line for a deployed stack, on this machine or on AWS: `easel --help`."""

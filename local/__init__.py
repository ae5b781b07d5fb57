"""The stack on this machine, without an AWS account or an OpenAI key.

stack        bring the stack up and down, and write a file with its outputs
deploy       synthesize the template and deploy it to the local AWS
demo         run the examples and show their images
processes    start, list and end the processes of the stack
ministack/   the local AWS: MiniStack with its gaps closed
fake_openai/ the fake OpenAI server
"""

"""The files of images. These modules do no network I/O.

image_file   decodes a file within limits, and makes the previews
exact_sizes  cuts files of exact sizes out of an image
focus        finds the part that a crop should keep
ai_mark      writes into these files that AI made the image
input_file   converts an uploaded file to an image that OpenAI accepts
"""

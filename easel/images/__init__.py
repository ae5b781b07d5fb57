"""The files of images. These modules do no network I/O.

image_file  decodes a file within limits, and makes the thumbnail
input_file  converts an uploaded file to an image that OpenAI accepts
"""

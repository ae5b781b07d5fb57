"""The files of images. Nothing here is done over a network.

image_file  decodes a file within limits, and makes the thumbnail
input_file  makes an input image for OpenAI of what people upload
"""

"""The economy step. It buys a batch's images from OpenAI's Batch API, at half price, within a day.

handler  entry point
plan     groups images into orders, and lists the staged images to be stored
place    claims an order's images and places the order once
inputs   the images that an order's images are made from, as files at OpenAI
collect  stages an order's images, and settles the claims of the others
"""

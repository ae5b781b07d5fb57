"""The economy step: a batch's images from OpenAI's Batch API, at half the price, within a day.

handler  entry point
plan     which images are ordered together, and which of those that came are stored next
place    claims an order's images and places it, once
collect  stages what came of an order, and settles the rest
"""

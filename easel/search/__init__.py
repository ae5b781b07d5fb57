"""The search: finds stored images by their words, newest first.

words      folds text into the words that are compared
document   what is searched about an image: its words and its facts
leaf       about a hundred documents, packed into one item of the table
leaves     reads and changes the leaves of a table
query      what a caller searches for, and the table of its parameters
search     pages of results, newest first
indexing   keeps the documents in step with the records, also of images from before the search
"""

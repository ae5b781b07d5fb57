"""Everything that runs in Lambda. Read contract.py first: it holds the messages between the steps.

prompt   checks the request, writes the image prompt, keeps it in the table
image    claims, pays for one picture, puts its bytes into staging
upload   verifies the picture and copies it to its final key
cleanup  empties staging and reports; or deletes or restores an image or a folder on request
"""

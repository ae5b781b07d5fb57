"""What a browser loads before it calls the API: the page's files, their rules, and its settings.

With a distribution, functions/site.py puts all of it into a bucket when the stack is deployed.
Without one, functions/api/page.py returns it.
"""

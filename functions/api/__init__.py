"""The HTTP API and the page. It reads and starts the state machines; it never buys or deletes.

routes    every route with its scope
runs, redrives, batches, batch_list, batch_failures   the route functions
images, folders, estimates, uploads, schedules        more of them
run_list  the entries of a page of runs
run_filters   the filters of both lists
batch_lines   the files with the lines of a batch, and what they have cost so far
facts     what an execution's description adds to its records
views     runs and batches, built from executions and records
schemas, batch_schemas   the shapes of the responses
problems  errors as the API returns them
page      the page's files, its settings, and the API's description
openapi   the description itself
caller    the caller's identity, and the request's body and query
links     presigned links to read images and to upload manifests
services  the collaborators of the routes
"""

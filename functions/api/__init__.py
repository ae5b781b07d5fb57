"""The HTTP API and the page. It reads and starts the state machines; it never buys or deletes.

routes    every route with its scope
runs, batches, batch_list, images, folders, estimates   the route functions
run_list  the entries of a page of runs
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

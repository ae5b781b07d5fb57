"""MiniStack, a local AWS in one process, with the gaps closed that matter to Easel.

Each gap has one patch and one test. The test also shows the gap in plain MiniStack. When the test
reports that a release has closed the gap, delete the patch.

awslambda/      failures, logs and processes of functions
stepfunctions/  timing, metrics, history, Maps and redrives of executions
cognito         the style of the sign-in page
eventbridge     deployed webhooks, their retries and their dead-letter queues
front           the check of keys, and of requests from other websites
sign_in_session who is signed in at the sign-in page
iam             authorization of each call by the caller's role
s3              conditional copies, versions in events, and memory
scheduler       time zones and scheduled times of EventBridge Scheduler
cloudformation  protection of buckets and tables
cloudfront      APIs as origins, and an address on this machine
sns             unconfirmed subscriptions
cloudwatch      metrics and fields in JSON log lines
strict          what AWS refuses or shows late; EASEL_LOCAL_STRICT changes how much

`edits` has the tools for patches. `process` starts the emulator with the environment it needs.
"""

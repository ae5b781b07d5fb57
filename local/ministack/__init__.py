"""MiniStack, a local AWS in one process, with the gaps closed that Easel would fall into.

Each gap is one patch with one test, which also shows the gap in plain MiniStack; when the test says that a release has
closed it, delete the patch.

api_failures        the HTTP API answers 500 for a function that fails, and tells nothing of it
lambda_errors       a failure is named by the exception's class, and a handler that raised keeps its process
lambda_logs         no 50 ms of waiting after a call that logs nothing
lambda_metrics      metrics in a function's log are metrics, and alarms look at them
lambda_workers      a bounded number of processes for each function, few for quick calls; calls queue; none outlives the emulator
logs_fields         a log query knows the fields of a line that is JSON
object_bodies       the bytes of objects are on disk alone, also in a bucket with versions
object_copies       CopyObject honours If-None-Match
object_events       EventBridge is told the version of a new object
states_timing       no pause before an execution; MaxDelaySeconds and JitterStrategy of a Retry count
states_map          a failed iteration ends its Map and aborts the others; a stopped execution stays stopped
states_distributed  a Distributed Map in JSONata, with result files, whose tolerance and stop count at once
states_history      events of the states inside a Map's iterations, with the event that led to each
states_metrics      executions that end are counted, and alarms look at them
states_redrive      RedriveExecution; state is saved also while executions run

`process` starts it, with the environment that it needs, and ends it.
"""

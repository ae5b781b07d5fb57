"""The names of metrics and events. The stack reads them for alarms, dashboard and permissions."""

NAMESPACE = "Easel"
SERVICE = "easel"

# Each metric covers the whole stack, because CloudWatch charges per metric. Duration and failures
# of each step come from Lambda's own metrics, because each step is a function.
STORED, REFUSED, LOST, POSSIBLY_PAID = "Stored", "Refused", "Lost", "PossiblyPaid"
STORED_BY_SCHEDULE = "StoredBySchedule"
FAILED, RATE_LIMITED, BATCH_LINES_FAILED = "Failed", "RateLimited", "BatchLinesFailed"
SPEND_USD, COST_UNKNOWN = "SpendUSD", "CostUnknown"
BUDGET_USED_PERCENT, BUDGET_REFUSED = "BudgetUsedPercent", "BudgetRefused"
MODEL_DAYS_LEFT = "ModelDaysLeft"

# These are the source and the detail types of the events for EventBridge.
SOURCE = "easel"
IMAGE_STORED, IMAGE_REFUSED, RUN_FAILED = "ImageStored", "ImageRefused", "RunFailed"
RUN_FINISHED, BATCH_FINISHED = "RunFinished", "BatchFinished"
NOTIFICATION = "Notification"  # one for each channel that is notified, ready to be delivered

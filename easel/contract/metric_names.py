"""The names of what Easel tells others: its metrics, and its events. The stack reads them for alarms, dashboard and rights."""

NAMESPACE = "Easel"
SERVICE = "easel"

# The metrics, each for the whole stack, since CloudWatch charges for each. How long a step takes and how often it fails is counted by
# Lambda itself, a function being a step.
STORED, REFUSED, LOST, POSSIBLY_PAID = "Stored", "Refused", "Lost", "PossiblyPaid"
STORED_BY_SCHEDULE = "StoredBySchedule"
FAILED, RATE_LIMITED, BATCH_LINES_FAILED = "Failed", "RateLimited", "BatchLinesFailed"
SPEND_USD, COST_UNKNOWN = "SpendUSD", "CostUnknown"
BUDGET_USED_PERCENT, BUDGET_REFUSED = "BudgetUsedPercent", "BudgetRefused"
MODEL_DAYS_LEFT = "ModelDaysLeft"

# The events: EventBridge's source and detail types.
SOURCE = "easel"
IMAGE_STORED, IMAGE_REFUSED, RUN_FAILED = "ImageStored", "ImageRefused", "RunFailed"

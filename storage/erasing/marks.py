"""What stands where something was taken out."""

FORGOTTEN = "[forgotten]"
REDACTED = "[redacted]"

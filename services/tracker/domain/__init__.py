"""What was sent, in each wire format, as interactions."""

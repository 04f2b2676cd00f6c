"""HTTP beside the control plane of Amazon Personalize: statuses and receipts, placements and keys."""

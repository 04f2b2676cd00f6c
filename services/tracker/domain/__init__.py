"""Convert what clients send, in each wire format, into interactions and records of datasets."""

"""Sources that sync asks: what their answers say, and which days to ask for."""

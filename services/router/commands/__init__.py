"""Commands that people run: the simulator."""

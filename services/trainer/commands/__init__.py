"""Commands that people run: schedules from a shell."""

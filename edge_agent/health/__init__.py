"""What the agent says about itself: counters, status, watchdog."""

"""What a network server decides, pure: which frame is taken, and why one is not."""

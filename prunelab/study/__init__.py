"""What turns the core into a reproduction; the core never imports it."""

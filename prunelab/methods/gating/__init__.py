"""What methods that learn a gate for each unit share."""

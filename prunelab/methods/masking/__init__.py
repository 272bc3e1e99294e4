"""What methods that remove single weights share."""

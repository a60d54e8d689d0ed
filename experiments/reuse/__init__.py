"""What was learned, used elsewhere: few examples, other tasks, few labels."""

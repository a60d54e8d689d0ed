"""What a study is: its axes, cells and plan, its claims, headline and tables; plugins."""

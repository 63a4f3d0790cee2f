"""Floor 6: tables from config messages to objects."""

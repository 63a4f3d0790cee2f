"""Tables from config messages to objects."""

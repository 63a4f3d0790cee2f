"""What all commands share: `runner` starts and ends them, `path_flags` checks their paths."""

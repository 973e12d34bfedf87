"""What the causes are told by: a module a notion."""
